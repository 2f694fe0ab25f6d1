"""One turn through the one door: events, the two writes, who sees what, how it ends."""

import asyncio
import time

import pytest

from agents.contracts import ChatMessage, Plan, Step
from runs.events import TERMINAL, AnswerSegment, RunCancelled, RunFailed, RunFinished
from signalbox.errors import UpstreamDown
from tests.agents.memory import MemoryBus
from tests.agents.scripted import ADA, BRUNO, Reply, ask, call, collect, evidence

REF = "1a2b3c4d"


def one_step(specialist="knowledge", task="leave"):
    return Plan(steps=[Step(id="s1", specialist=specialist, task=task)])


def looks_up(seen):
    if seen.role == "planner":
        return one_step()
    if not seen.results:
        return [call("knowledge__search", query="leave")]
    return f"There are 25 days of leave. [#{REF}] They expire in March. [#{REF}]"


async def test_a_question_is_planned_searched_and_answered_with_citations(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "Everyone has 25 days of leave. They expire in March."))
    home = house(looks_up, bus)
    events = await collect(home.turns.run(ask("How much leave do I have?")))
    assert [event.type for event in events] == [
        "run.started",
        "plan.made",
        "step.started",
        "tool.called",
        "tool.finished",
        "sources.found",
        "answer.segment",
        "step.finished",
        "usage.counted",
        "answer.segment",
        "usage.counted",
        "run.finished",
    ]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.result.text == "There are 25 days of leave. [1] They expire in March. [1]"
    assert "".join(event.text for event in events if isinstance(event, AnswerSegment)) == last.result.text


async def test_two_writes_a_turn_and_the_answer_holds_its_record(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "Everyone has 25 days of leave."))
    home = house(looks_up, bus)
    events = await collect(home.turns.run(ask("How much leave do I have?")))
    question, answer = home.conversations.of(ADA)
    assert (question.role, question.text) == ("user", "How much leave do I have?")
    assert answer.result == events[-1].result
    assert answer.result.usage.model_calls == 3
    assert answer.result.usage.total_tokens == 45
    assert answer.result.engine == "scripted"


async def test_the_question_is_written_before_any_work(house):
    home = house(lambda seen: Plan(reply=str(len(home.conversations.of(ADA)))))
    events = await collect(home.turns.run(ask("Hi")))
    assert events[-1].result.text == "1"


async def test_a_follow_up_sees_the_earlier_messages_without_their_citation_marks(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "25 days."))
    home = house(looks_up, bus)
    first = (await collect(home.turns.run(ask("How much leave?"))))[-1].result
    await collect(home.turns.run(ask("And for Bruno?", conversation_id=first.conversation_id)))
    prompt = home.models.by_role("planner")[-1].prompt
    assert '{"role": "user", "text": "How much leave?"}' in prompt
    assert "There are 25 days of leave.  They expire" in prompt
    assert "And for Bruno?" not in prompt.split("<history>")[1].split("</history>")[0]


async def test_a_stateless_client_brings_its_own_history(house):
    home = house(lambda seen: Plan(reply="Yes."))
    context = (ChatMessage(role="user", content="My name is Ada."), ChatMessage(role="assistant", content="Hello Ada."))
    await collect(home.turns.run(ask("What is my name?", context=context)))
    assert '{"role": "user", "text": "My name is Ada."}' in home.models.by_role("planner")[0].prompt


async def test_a_long_history_is_cut_from_its_old_end(house):
    home = house(lambda seen: Plan(reply="Yes."), history_chars=300, history_messages=4)
    context = tuple(ChatMessage(role="user", content=f"message {index} " + "x" * 100) for index in range(9))
    await collect(home.turns.run(ask("Hm?", context=context)))
    prompt = home.models.by_role("planner")[0].prompt
    shown = prompt.split("<history>\n")[1].split("</history>")[0]
    assert [index for index in range(9) if f"message {index}" in shown] == [7, 8]


async def test_another_users_conversation_does_not_exist(house):
    home = house(lambda seen: Plan(reply="Hello."))
    mine = (await collect(home.turns.run(ask("Hi", principal=ADA))))[-1].result.conversation_id
    events = await collect(home.turns.run(ask("Hi", principal=BRUNO, conversation_id=mine)))
    assert [event.type for event in events] == ["run.failed"]
    assert (events[0].code, events[0].status, events[0].seq) == ("not_found", 404, 1)
    assert len(home.models.seen) == 1


async def test_two_users_at_the_same_time_see_nothing_of_each_other(house):
    def say(seen):
        if seen.role == "planner":
            return Reply(one_step().model_dump_json(), latency_s=0.02)
        return Reply(f"Answer. [#{REF}]", latency_s=0.02) if seen.results else [call("knowledge__search")]

    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "Text."))
    home = house(say, bus)
    asked = [ask(f"secret of {who.user} {index}", principal=who) for index in range(8) for who in (ADA, BRUNO)]
    await asyncio.gather(*(collect(home.turns.run(request)) for request in asked))
    for seen in home.models.seen:
        owner = next(request for request in asked if request.run_id == seen.scope.run_id)
        assert owner.text in seen.prompt
        assert sum(request.text in seen.prompt for request in asked) == 1
    assert {user for user, _, _ in bus.calls} == {"ada", "bruno"}
    for context in bus.contexts:
        assert context.chain.actors == ("orchestrator", "knowledge")


async def test_direct_is_one_model_call_through_the_gate(house):
    home = house(lambda seen: "My key is sk-sb-0123456789abcdef-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg. Bye.")
    context = (ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hi"))
    events = await collect(home.turns.run(ask("Key?", model="direct", context=context)))
    assert [event.type for event in events] == [
        "run.started",
        "answer.segment",
        "answer.segment",
        "usage.counted",
        "run.finished",
    ]
    assert events[-1].result.text == "My key is [secret removed]. Bye."
    (seen,) = home.models.seen
    assert seen.purpose == "direct"
    assert [type(message).__name__ for message in seen.messages] == ["SystemMessage", "UserMessage", "UserMessage"]


async def test_the_callers_limits_reach_a_direct_call(house):
    home = house(lambda seen: "Short.")
    request = ask("Tell", model="direct").model_copy(update={"max_tokens": 12, "temperature": 0.2})
    await collect(home.turns.run(request))
    assert home.models.seen[0].extra == {"max_tokens": 12, "temperature": 0.2}


async def test_why_the_model_stopped_is_handed_on(house):
    home = house(lambda seen: Reply("Cut off in the mid", finish_reason="length"))
    events = await collect(home.turns.run(ask("Tell", model="direct")))
    assert events[-1].result.finish_reason == "length"


async def test_a_model_that_is_down_is_an_error_that_says_what_to_do(house):
    error = UpstreamDown("No model answers at http://127.0.0.1:1.", hint="Start vLLM or unset inference.base_url.")
    home = house(lambda seen: Reply(error=error))
    events = await collect(home.turns.run(ask("Hm?")))
    last = events[-1]
    assert isinstance(last, RunFailed)
    assert (last.code, last.status) == ("upstream_down", 503)
    assert last.message == "No model answers at http://127.0.0.1:1. Start vLLM or unset inference.base_url."


async def test_an_error_message_shows_no_credentials(house):
    error = UpstreamDown("http://admin:hunter2abc@10.0.0.1 refused sk-proj-abcdefghijklmnop0123456789.")
    events = await collect(house(lambda seen: Reply(error=error)).turns.run(ask("Hm?")))
    assert events[-1].message == "http://[secret removed]@10.0.0.1 refused [secret removed]."


async def test_a_bug_shows_only_where_to_look_for_it(house):
    home = house(lambda seen: Reply(error=ValueError("/etc/secret traceback")))
    request = ask("Hm?")
    events = await collect(home.turns.run(request))
    last = events[-1]
    assert isinstance(last, RunFailed)
    assert (last.code, last.status) == ("internal", 500)
    assert last.message == f"Something went wrong inside Signalbox. Tell your administrator: {request.run_id}."


async def test_a_store_that_hangs_is_an_upstream_that_is_down(house):
    home = house(lambda seen: "x", lookup_timeout_s=0.05)
    home.conversations.delay_s = 5
    events = await collect(home.turns.run(ask("Hm?")))
    assert (events[-1].code, events[-1].message) == (
        "upstream_down",
        "The conversation store did not answer within 0.05 s. Ask again in a moment.",
    )


@pytest.mark.parametrize("error", [None, UpstreamDown("down"), RuntimeError("x")])
@pytest.mark.parametrize("model", ["signalbox", "direct"])
async def test_the_terminal_event_comes_once_and_last(house, error, model):
    home = house(lambda seen: Reply('{"reply": "x"}', error=error))
    events = await collect(home.turns.run(ask("Hm?", model=model)))
    assert [isinstance(event, TERMINAL) for event in events] == [False] * (len(events) - 1) + [True]


async def test_a_slow_reader_slows_the_model_down_and_loses_nothing(house):
    text = "".join(f"Sentence number {index} is here. " for index in range(200))
    home = house(lambda seen: Reply(text, chunks=200), queue_events=4)
    stream = home.turns.run(ask("Tell", model="direct"))
    events = [await anext(stream), await anext(stream)]
    await asyncio.sleep(0.05)
    assert home.models.seen[0].ended == 0  # the model waits: it could not put down more than the queue holds
    events += await collect(stream)
    assert "".join(event.text for event in events if isinstance(event, AnswerSegment)) == text
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


async def test_the_prompt_is_laid_out_so_that_its_start_is_the_same_for_every_role(house):
    bus = MemoryBus(
        knowledge__search=lambda _: evidence(REF, "25 days."),
        operations__q=lambda _: evidence("bbbbbbbb", "5 taken.", tool="operations__q"),
    )
    two = Plan(steps=[Step(id=name, specialist=name, task=name) for name in ("knowledge", "data")])
    tool = {"specialist:knowledge": "knowledge__search", "specialist:data": "operations__q"}

    def say(seen):
        if seen.role == "planner":
            return two
        return "Done." if seen.results or seen.role == "synthesiser" else [call(tool[seen.role])]

    home = house(say, bus)
    await collect(home.turns.run(ask("How much leave is left?")))
    assert len(home.models.seen) == 6
    assert {tuple(seen.tools) for seen in home.models.seen} == {("knowledge__search", "operations__q")}
    assert {seen.tool_choice for seen in home.models.seen if seen.role in ("planner", "synthesiser")} == {"none"}
    assert {seen.tool_choice for seen in home.models.seen if seen.role.startswith("specialist")} == {"auto"}
    starts = {seen.prompt.split("</question>")[0] for seen in home.models.seen}
    assert len(starts) == 1
    for seen in home.models.seen:
        assert seen.prompt.index("<role>\n") > seen.prompt.index("</question>")


async def test_a_tool_of_another_specialist_is_seen_and_cannot_be_called(house):
    bus = MemoryBus(
        knowledge__search=lambda _: evidence(REF, "25 days."), desk__create=lambda _: evidence("bbbbbbbb", "Done.")
    )

    def say(seen):
        if seen.role == "planner":
            return one_step()
        match len(seen.results):
            case 0:
                return [call("desk__create")]
            case 1:
                return [call("knowledge__search", "c2")]
        return f"25. [#{REF}]"

    home = house(say, bus)
    events = await collect(home.turns.run(ask("Leave?")))
    assert bus.started == ["knowledge__search"]
    assert events[-1].result.text == "25. [1]"


async def test_a_run_can_be_stopped_by_its_owner_alone_and_ends_with_the_word_that_it_was(house):
    home = house(lambda seen: Reply("First sentence. " * 50, latency_s=30, chunks=400))
    request = ask("Tell", model="direct")
    reading = asyncio.create_task(collect(home.turns.run(request)))
    await asyncio.sleep(0.3)
    assert not await home.turns.cancel(BRUNO, request.run_id)
    started = time.monotonic()
    assert await home.turns.cancel(ADA, request.run_id)
    events = await reading
    assert time.monotonic() - started < 1
    assert isinstance(events[-1], RunCancelled)
    assert events[-1].reason == "stopped by the user"
    assert home.models.seen[0].cancelled
    assert not await home.turns.cancel(ADA, request.run_id)


async def test_closing_the_runner_stops_what_still_runs(house):
    home = house(lambda seen: Reply("x", latency_s=30))
    reading = asyncio.create_task(collect(home.turns.run(ask("Tell", model="direct"))))
    await asyncio.sleep(0.05)
    await home.turns.close()
    events = await reading
    assert isinstance(events[-1], RunCancelled)


async def test_two_runs_cannot_have_the_same_id(house):
    home = house(lambda seen: Reply("Hello.", 0.1))
    request = ask("Hi", model="direct")
    first, second = await asyncio.gather(collect(home.turns.run(request)), collect(home.turns.run(request)))
    assert first[-1].type == "run.finished"
    assert [(event.type, event.code) for event in second] == [("run.failed", "conflict")]


async def test_an_engine_that_stands_in_is_shown_only_the_tools_of_its_role(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "x"), desk__create=lambda _: evidence(REF, "y"))

    def say(seen):
        seen.scope.meter.degraded = True
        return looks_up(seen)

    home = house(say, bus)
    events = await collect(home.turns.run(ask("Leave?")))
    assert [seen.tools for seen in home.models.by_role("specialist:knowledge")] == [["knowledge__search"]] * 2
    assert events[-1].result.degraded


async def test_a_turn_that_nobody_waits_for_stands_back_at_the_models_and_leaves_nothing_behind(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "Everyone has 25 days of leave."))
    home = house(looks_up, bus)
    last = (await collect(home.turns.run(ask("How much leave?", priority=10, kept=False))))[-1]
    assert isinstance(last, RunFinished)
    assert last.result.text.startswith("There are 25 days")
    assert home.conversations.of(ADA) == []
    assert {seen.scope.priority for seen in home.models.seen} == {10}
