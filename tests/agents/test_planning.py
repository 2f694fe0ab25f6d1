"""What the planner may say besides steps, and when it is asked again."""

from agents.contracts import Plan, Step
from runs.events import PlanMade
from tests.agents.memory import MemoryBus
from tests.agents.plays import A, B, plan, result_of, script, searching
from tests.agents.scripted import ask, collect, evidence, waiting


def asked(home):
    return home.models.by_role("planner")


async def test_a_clarifying_question_is_the_answer(house):
    home = house(script(plan(question="Which of the two plants do you mean?")))
    result, events = await result_of(home)
    assert result.text == result.question == "Which of the two plants do you mean?"
    assert [(event.steps, event.question) for event in events if isinstance(event, PlanMade)] == [((), result.text)]
    assert not result.declined


async def test_a_question_is_asked_once_then_the_planner_must_assume(house):
    plans = iter(
        [
            plan(question="Which plant?"),
            plan(question="Do you mean Ghent or Leeds?"),
            plan(("a", "generalist", ()), assumptions=["you mean Ghent"]),
        ]
    )
    home = house(script(lambda seen: next(plans), a="Ghent has 12."))
    first, _ = await result_of(home)
    events = await collect(home.turns.run(ask("The plant", conversation_id=first.conversation_id)))
    assert events[-1].result.text == "Ghent has 12.\n\nI assumed: you mean Ghent."
    assert "asked a question already" in asked(home)[-1].prompt


async def test_what_was_assumed_is_said_by_code_and_stands_in_the_record(house):
    home = house(script(plan(("a", "generalist", ()), assumptions=["“last month” is October.", " "]), a="A."))
    result, events = await result_of(home)
    assert result.text == "A.\n\nI assumed: “last month” is October."
    assert result.assumptions == ("“last month” is October.",)
    assert [event.assumptions for event in events if isinstance(event, PlanMade)] == [result.assumptions]


async def test_who_plans_work_does_not_ask(house):
    home = house(script(plan(("a", "generalist", ()), question="Or do you mean Leeds?"), a="A."))
    result, _ = await result_of(home)
    assert (result.text, result.question) == ("A.", "")


async def test_the_planner_knows_how_each_specialist_is(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(A, "x"))
    bus.server_health = {"knowledge": "up", "operations": "restarting"}
    home = house(script(plan(reply="Hello.")), bus)
    await result_of(home)
    prompt = asked(home)[0].prompt
    assert '"health": "operations: restarting"' in prompt
    assert "How many days of parental leave do we give?" in prompt


async def test_a_refusal_that_the_answer_needs_is_planned_around_and_not_said(house):
    plans = iter([plan(("a", "knowledge", ())), Plan(steps=[Step(id="a", specialist="data", task="task b")])])
    bus = MemoryBus(
        knowledge__search=lambda _: evidence(A, "Something else."),
        operations__q=lambda _: evidence(B, "It is 42.", tool="operations__q"),
    )
    home = house(
        script(
            lambda seen: next(plans),
            a=searching("knowledge__search", "NO_ANSWER The documents do not say. At all."),
            b=searching("operations__q", f"It is 42 [#{B}]."),
        ),
        bus,
    )
    result, events = await result_of(home)
    assert result.text == "It is 42 [1]."
    assert not result.declined
    assert '"status": "ok"' in asked(home)[1].prompt
    assert len([event for event in events if isinstance(event, PlanMade)]) == 2


async def test_a_failed_step_is_planned_around_and_still_said(house):
    plans = iter([plan(("a", "knowledge", ())), Plan(steps=[Step(id="a", specialist="generalist", task="task b")])])
    bus = MemoryBus(knowledge__search=lambda _: evidence(A, "x"))
    bus.raising = ConnectionError("gone")
    home = house(
        script(lambda seen: next(plans), a=searching("knowledge__search", "NO_ANSWER x"), b="From memory."), bus
    )
    result, _ = await result_of(home)
    assert result.text.startswith("From memory.")


async def test_a_finding_that_names_a_further_need_brings_a_further_step(house):
    plans = iter([plan(("a", "data", ())), Plan(steps=[Step(id="t", specialist="knowledge", task="task terms")])])
    bus = MemoryBus(
        knowledge__search=lambda _: evidence(A, "Nordcell pays 2 % a week."),
        operations__q=lambda _: evidence(B, "Order 17 is from Nordcell.", tool="operations__q"),
    )
    home = house(
        script(
            lambda seen: next(plans),
            a=searching("operations__q", f"Order 17 is from Nordcell [#{B}].\nNEED_MORE: Nordcell's terms"),
            terms=searching("knowledge__search", f"Nordcell pays 2 % a week [#{A}]."),
        ),
        bus,
    )
    result, _ = await result_of(home)
    assert result.text == "Order 17 is from Nordcell [1].\n\nNordcell pays 2 % a week [2]."
    assert '"need": "Nordcell\'s terms"' in asked(home)[1].prompt


async def test_a_need_that_nobody_could_meet_is_said_by_code(house):
    bus = MemoryBus(operations__q=lambda _: evidence(B, "Order 17 is from Nordcell.", tool="operations__q"))
    plans = iter([plan(("a", "data", ())), plan()])
    answer = f"Order 17 is from Nordcell [#{B}].\nNEED_MORE: Nordcell's terms"
    home = house(script(lambda seen: next(plans), a=searching("operations__q", answer)), bus)
    result, _ = await result_of(home)
    assert result.text == "Order 17 is from Nordcell [1].\n\nStill to be found out: Nordcell's terms."


async def test_what_another_step_found_for_the_same_task_needs_no_second_plan(house):
    the_plan = Plan(
        steps=[
            Step(id="a", specialist="knowledge", task="task a"),
            Step(id="b", specialist="generalist", task="task a"),
        ]
    )
    bus = MemoryBus(knowledge__search=lambda _: evidence(A, "x"))

    def say(seen):
        if seen.role == "specialist:generalist":
            return "It is so."
        return script(the_plan, a=searching("knowledge__search", "NO_ANSWER Not there."))(seen)

    home = house(say, bus)
    result, _ = await result_of(home)
    assert result.text == "It is so."
    assert len(asked(home)) == 1


async def test_an_action_that_waits_is_no_reason_to_plan_again(house):
    bus = MemoryBus(desk__create=lambda _: waiting("desk__create", "Create it"))
    home = house(script(plan(("a", "actions", ())), a=searching("desk__create", "I will.")), bus)
    await result_of(home)
    assert len(asked(home)) == 1


async def test_the_plan_changes_a_bounded_number_of_times(house):
    counter = iter(range(100))

    def planner(seen):
        number = next(counter)
        return Plan(steps=[Step(id="s", specialist="generalist", task=f"task a{number}")])

    def say(seen):
        return planner(seen) if seen.role == "planner" else "NO_ANSWER Not there."

    home = house(say, replans=2)
    result, _ = await result_of(home)
    assert len(asked(home)) == 3
    assert len(result.steps) == 3
    assert result.declined
