"""The orchestrator through the turn runner: who runs when, and what the answer says of those that did not succeed."""

from agents.contracts import Plan, Step
from runs.events import AnswerSegment, ApprovalRequested, StepFinished
from signalbox.errors import UpstreamDown
from tests.agents.memory import MemoryBus
from tests.agents.plays import A, B, plan, result_of, script, searching
from tests.agents.scripted import ADA, Reply, ask, call, collect, evidence, waiting
from toolbus.contracts import ToolOutcome


async def test_independent_steps_run_at_the_same_time(house):
    the_plan = plan(("a", "generalist", ()), ("b", "generalist", ()), ("c", "generalist", ()))
    slow = Reply("Found.", latency_s=0.1)
    home = house(script(the_plan, a=slow, b=slow, c=slow))
    await result_of(home)
    steps = home.models.by_role("specialist:generalist")
    assert len(steps) == 3
    assert max(seen.started for seen in steps) < min(seen.ended for seen in steps)


async def test_a_step_starts_when_its_own_needs_are_done_and_not_when_a_level_is(house):
    # a (short) → c; b is long: c must start while b still runs.
    the_plan = plan(("a", "generalist", ()), ("b", "generalist", ()), ("c", "generalist", ("a",)))
    home = house(script(the_plan, a=Reply("A.", 0.05), b=Reply("B.", 0.3), c=Reply("C.", 0.05)))
    await result_of(home)
    by_task = {seen.prompt.split("<task>\n")[1][:6]: seen for seen in home.models.by_role("specialist:generalist")}
    assert by_task["task c"].started < by_task["task b"].ended
    assert by_task["task c"].started >= by_task["task a"].ended


async def test_a_step_gets_the_findings_of_the_steps_it_needs_and_no_others(house):
    the_plan = plan(("a", "generalist", ()), ("b", "generalist", ()), ("c", "generalist", ("a",)))
    home = house(script(the_plan, a="Apples.", b="Bananas.", c="C."))
    await result_of(home)
    prompts = {
        seen.prompt.split("<task>\n")[1][:6]: seen.prompt for seen in home.models.by_role("specialist:generalist")
    }
    assert "Apples." in prompts["task c"]
    assert "Bananas." not in prompts["task c"]
    assert "<findings>\n" not in prompts["task a"]


async def test_a_slow_step_is_stopped_and_reported_and_spoils_nothing(house):
    the_plan = plan(("a", "generalist", ()), ("b", "data", ()))
    home = house(
        script(the_plan, a="Apples are red.", b=Reply("never", latency_s=60)),
        specialists={
            "generalist": {"module": "agents.specialists.generalist"},
            "data": {"module": "agents.specialists.data", "timeout_s": 0.2},
        },
    )
    result, _ = await result_of(home)
    assert result.text == "Apples are red.\n\nThe data specialist did not answer within 0.2 s."
    assert [(step.specialist, step.status) for step in result.steps] == [("generalist", "ok"), ("data", "timeout")]
    assert not result.declined
    assert home.models.by_role("specialist:data")[0].cancelled


async def test_a_failed_step_is_reported_with_its_reason_and_its_dependants_are_left_out(house):
    the_plan = plan(("a", "generalist", ()), ("b", "data", ()), ("c", "actions", ("b",)))
    down = Reply(error=UpstreamDown("The model 'm' does not answer."))
    home = house(script(the_plan, a="Apples are red.", b=down), replans=0)
    result, _ = await result_of(home)
    assert result.text == (
        "Apples are red.\n\n"
        "The data specialist could not do its part: The model 'm' does not answer.\n"
        "A step for the actions specialist was left out: the data step that it needs did not succeed."
    )
    assert [step.status for step in result.steps] == ["ok", "failed", "skipped"]


async def test_an_unexpected_error_in_a_step_shows_nothing_of_itself(house):
    home = house(script(plan(("a", "generalist", ())), a=Reply(error=RuntimeError("secret internals"))))
    result, _ = await result_of(home)
    assert (
        result.text
        == "I could not answer this. The generalist specialist could not do its part: failed inside Signalbox."
    )
    assert result.declined


async def test_a_denied_step_is_reported_as_denied(house):
    bus = MemoryBus(operations__salaries=lambda _: ToolOutcome("operations__salaries", "denied", "Only finance may."))
    home = house(script(plan(("a", "data", ())), a=searching("operations__salaries", "I may not see that.")), bus)
    result, events = await result_of(home)
    assert result.text == "I could not answer this. The data specialist was not allowed to do this: Only finance may."
    assert [event.status for event in events if isinstance(event, StepFinished)] == ["denied"]
    assert result.declined


async def test_a_step_whose_every_call_failed_is_a_failed_step(house):
    bus = MemoryBus(operations__x=lambda _: ToolOutcome("operations__x", "error", "The server is down."))
    home = house(script(plan(("a", "data", ())), a=searching("operations__x", "There are 12 orders.")), bus)
    result, _ = await result_of(home)
    assert result.steps[0].status == "failed"
    assert result.text == "I could not answer this. The data specialist could not do its part: The server is down."
    assert result.declined


async def test_a_turn_that_is_not_kept_is_written_down_when_an_action_of_it_waits_for_somebody(house):
    bus = MemoryBus(desk__create=lambda _: waiting("desk__create", "Create the ticket 'Scanner broken'"))
    home = house(script(plan(("a", "actions", ())), a=searching("desk__create", "I created the ticket.")), bus)
    await collect(home.turns.run(ask("The scanner is broken.", kept=False)))
    question, answer = home.conversations.of(ADA)
    assert question.text == "The scanner is broken."
    assert answer.result is not None
    assert [approval.tool for approval in answer.result.approvals] == ["desk__create"]


async def test_an_action_that_needs_approval_ends_its_step_and_is_never_said_to_be_done(house):
    bus = MemoryBus(desk__create=lambda _: waiting("desk__create", "Create the ticket 'Scanner broken'"))
    home = house(script(plan(("a", "actions", ())), a=searching("desk__create", "I created the ticket.")), bus)
    result, events = await result_of(home)
    assert result.text == "Nothing has been done yet. This waits for approval:\n- Create the ticket 'Scanner broken'"
    assert [approval.tool for approval in result.approvals] == ["desk__create"]
    assert result.steps[0].status == "awaiting_approval"
    assert len([event for event in events if isinstance(event, ApprovalRequested)]) == 1
    assert not result.declined


async def test_what_a_model_says_of_an_action_that_waits_reaches_neither_reader_nor_synthesiser(house):
    def acts(seen):
        match len(seen.results):
            case 0:
                return [call("operations__find")]
            case 1:
                return [call("operations__book", "c2")]
        return "I have booked it. It is done."

    bus = MemoryBus(
        operations__find=lambda _: evidence(A, "Slot 7 is free.", tool="operations__find"),
        operations__book=lambda _: waiting("operations__book", "Book slot 7"),
    )
    home = house(script(plan(("a", "data", ())), a=acts), bus)
    result, _ = await result_of(home)
    assert result.text == "Nothing has been done yet. This waits for approval:\n- Book slot 7"
    several = plan(("a", "data", ()), ("b", "generalist", ()), ("c", "generalist", ()))
    home = house(script(several, a=acts, b="B.", c="C."), bus)
    result, _ = await result_of(home)
    assert result.text == "Merged.\n\nNothing has been done yet. This waits for approval:\n- Book slot 7"
    assert "I have booked it" not in home.models.by_role("synthesiser")[0].prompt


async def test_several_findings_are_merged_and_keep_their_citations(house):
    bus = MemoryBus(
        knowledge__search=lambda _: evidence(A, "Leave is 25 days."),
        operations__query=lambda _: evidence(
            B, "Ada took 5 days.", document="operations/leave", tool="operations__query"
        ),
    )
    the_plan = plan(("k", "knowledge", ()), ("d", "data", ()))
    home = house(
        script(
            the_plan,
            k=searching("knowledge__search", f"25 days. [#{A}]"),
            d=searching("operations__query", f"5 days taken. [#{B}]"),
            synthesiser=f"You took 5 days [#{B}] of 25 [#{A}].",
        ),
        bus,
    )
    result, _ = await result_of(home)
    assert result.text == "You took 5 days [1] of 25 [2]."
    assert [(source.document, source.number) for source in result.sources] == [
        ("handbook.md", 2),
        ("operations/leave", 1),
    ]
    seen = home.models.by_role("synthesiser")[0]
    assert f"[#{A}]" in seen.prompt
    assert '"status": "ok"' in seen.prompt


async def test_one_step_needs_no_synthesiser_and_small_talk_needs_no_step(house):
    home = house(
        script(lambda seen: plan(reply="Hello!") if "Hi" in seen.prompt else plan(("a", "generalist", ())), a="A.")
    )
    events = await collect(home.turns.run(ask("Hi")))
    assert events[-1].result.text == "Hello!"
    assert events[-1].result.steps == ()
    await result_of(home)
    assert home.models.by_role("synthesiser") == []


async def test_an_unsound_plan_is_repaired_once(house):
    said = []

    def planner(seen):
        said.append(seen.prompt)
        return plan(("a", "nobody", ())) if len(said) == 1 else plan(("a", "generalist", ()))

    home = house(script(planner, a="A."))
    result, _ = await result_of(home)
    assert result.text == "A."
    assert "'nobody', which is no specialist: knowledge, data, actions, generalist" in said[1]
    assert len(said) == 2


async def test_after_two_unsound_plans_the_knowledge_specialist_gets_the_whole_question(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(A, "Text."))

    def say(seen):
        if seen.role == "planner":
            return "this is no JSON"
        assert "<task>\nWhat?\n</task>" in seen.prompt
        return f"Text. [#{A}]" if seen.results else [call("knowledge__search")]

    home = house(say, bus)
    result, _ = await result_of(home)
    assert result.text == "Text. [1]"
    assert len(home.models.by_role("planner")) == 2


async def test_a_planner_that_is_too_slow_is_replaced_by_the_fallback(house):
    def say(seen):
        return Reply("x", latency_s=60) if seen.role == "planner" else "Done."

    home = house(say, planner_timeout_s=0.1, fallback="generalist")
    result, _ = await result_of(home)
    assert result.text == "Done."
    assert home.models.by_role("planner")[0].cancelled


async def test_the_plan_is_made_again_once_when_a_need_brought_nothing(house):
    plans = []

    def planner(seen):
        plans.append(seen.prompt)
        if len(plans) == 1:
            return plan(("a", "knowledge", ()), ("b", "generalist", ("a",)))
        return Plan(
            steps=[
                Step(id="a", specialist="data", task="task other"),
                Step(id="b", specialist="generalist", task="task b2", needs=["a"]),
            ]
        )

    bus = MemoryBus(
        knowledge__search=lambda _: evidence(A, "Nothing of use."),
        operations__q=lambda _: evidence(B, "It is 42.", tool="operations__q"),
    )
    home = house(
        script(
            planner,
            a=searching("knowledge__search", "NO_ANSWER The documents do not say."),
            other=searching("operations__q", f"42 [#{B}]."),
            b2="Forty-two.",
        ),
        bus,
    )
    result, _ = await result_of(home)
    assert len(plans) == 2
    assert "found nothing" in plans[1]
    assert [(step.specialist, step.status) for step in result.steps] == [
        ("knowledge", "ok"),
        ("generalist", "skipped"),
        ("data", "ok"),
        ("generalist", "ok"),
    ]
    assert len({step.id for step in result.steps}) == 4


async def test_a_second_plan_that_repeats_the_first_runs_nothing_again(house):
    the_plan = plan(("a", "knowledge", ()), ("b", "generalist", ("a",)))
    bus = MemoryBus(knowledge__search=lambda _: evidence(A, "x"))
    home = house(script(the_plan, a=searching("knowledge__search", "NO_ANSWER Not there.")), bus)
    result, _ = await result_of(home)
    assert len(home.models.by_role("planner")) == 2
    assert len(bus.calls) == 1
    assert result.declined


async def test_no_answer_is_taken_off_and_said_in_the_record(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(A, "Something else."))
    answer = "NO_ANSWER The documents do not say how high the bonus is."
    home = house(script(plan(("a", "knowledge", ())), a=searching("knowledge__search", answer)), bus)
    result, _ = await result_of(home)
    assert result.text == "The documents do not say how high the bonus is."
    assert result.declined
    assert [source.cited for source in result.sources] == [False]


async def test_of_two_refusals_of_one_task_the_fuller_one_is_told(house):
    steps = [Step(id=name, specialist=name, task="task a") for name in ("generalist", "knowledge")]

    def answer(seen):
        return "NO_ANSWER No." if seen.role.endswith("generalist") else "NO_ANSWER The documents do not say what a is."

    home = house(script(Plan(steps=steps), a=answer))
    result, _ = await result_of(home)
    assert result.text == "The documents do not say what a is."
    assert result.declined


async def test_the_step_that_found_nothing_is_mentioned_beside_the_one_that_did(house):
    the_plan = plan(("a", "generalist", ()), ("b", "generalist", ()))
    home = house(script(the_plan, a="Apples.", b="NO_ANSWER Nothing says what b is."))
    result, _ = await result_of(home)
    assert result.text == "Apples.\n\nNothing says what b is."
    assert not result.declined


async def test_when_the_synthesiser_fails_the_findings_are_given_one_by_one(house):
    the_plan = plan(("a", "generalist", ()), ("b", "generalist", ()))
    broken = Reply(error=UpstreamDown("The model is down."))
    home = house(script(the_plan, a="Apples.", b="Bananas.", synthesiser=broken))
    result, _ = await result_of(home)
    assert result.text == "The findings could not be brought together; here they are one by one.\n\nApples.\n\nBananas."


async def test_what_an_agent_says_before_it_calls_a_tool_is_no_part_of_the_answer(house):
    """AutoGen streams such words like any others."""
    bus = MemoryBus(knowledge__search=lambda _: evidence(A, "25 days."))

    def thinks_aloud(seen):
        match len(seen.results):
            case 0:
                return Reply([call("knowledge__search")], preamble="Let me search. I will look for leave.")
            case 1:
                return Reply([call("knowledge__search", "c2")], preamble="I will look once more.")
        return f"25 days. [#{A}]"

    home = house(script(plan(("a", "knowledge", ())), a=thinks_aloud), bus)
    result, _ = await result_of(home)
    assert result.text == "25 days. [1]"


async def test_an_answer_streams_sentence_by_sentence_while_the_model_still_writes(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(A, "25 days."))
    slow = Reply("The first sentence. The second sentence. And a third one that is longer.", latency_s=0.4, chunks=20)
    home = house(script(plan(("a", "knowledge", ())), a=searching("knowledge__search", slow)), bus)
    _, events = await result_of(home)
    said = [event for event in events if isinstance(event, AnswerSegment)]
    assert [event.text for event in said] == [
        "The first sentence. ",
        "The second sentence. ",
        "And a third one that is longer.",
    ]
    assert said[-1].at_ms - said[0].at_ms > 150


async def test_nothing_is_said_before_a_tool_returned_something_to_speak_of(house):
    bus = MemoryBus(operations__x=lambda _: ToolOutcome("operations__x", "error", "The server is down."))
    invented = "There are 12 orders. There are 3 late ones. All is well."
    home = house(script(plan(("a", "data", ())), a=searching("operations__x", invented)), bus)
    _, events = await result_of(home)
    assert not any("orders" in event.text for event in events if isinstance(event, AnswerSegment))
