import math

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from agents.contracts import Plan, Step, StepOutcome
from agents.plans import clamped, plan_schema, problems
from agents.scheduler import run_steps

KNOWN = ["knowledge", "data"]


def step(name, who="knowledge", needs=(), task="x", timeout_s=30.0):
    return Step(id=name, specialist=who, task=task, needs=list(needs), timeout_s=timeout_s)


def test_every_fault_of_a_plan_is_named_at_once():
    plan = Plan(steps=[step("a", "nobody"), step("a", needs=["z"]), step("b", task=" ")])
    assert problems(plan, KNOWN) == snapshot(
        [
            "The id 'a' is used more than once.",
            "Step 'a' names 'nobody', which is no specialist: knowledge, data.",
            "Step 'a' needs 'z', which is no step.",
            "Step 'b' has no task.",
        ]
    )


def test_the_schema_that_models_get_knows_no_other_specialist():
    schema = plan_schema(("knowledge", "data")).model_json_schema()
    assert schema["$defs"]["Step"]["properties"]["specialist"]["enum"] == ["knowledge", "data"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Step"]["additionalProperties"] is False
    assert plan_schema(("knowledge",)).model_json_schema()["$defs"]["Step"]["properties"]["specialist"] == {
        "const": "knowledge",
        "title": "Specialist",
        "type": "string",
    }


def test_a_circle_is_no_plan():
    assert problems(Plan(steps=[step("a", needs=["b"]), step("b", needs=["a"])]), KNOWN) == snapshot(
        ["The steps need each other in a circle."]
    )
    assert problems(Plan(steps=[step("a", needs=["a"])]), KNOWN) == ["The steps need each other in a circle."]


def test_neither_steps_nor_reply_is_no_plan():
    assert problems(Plan(), KNOWN) == snapshot(["There are neither steps nor a reply nor a question."])
    assert problems(Plan(reply="Hello"), KNOWN) == []


def test_timeouts_are_kept_within_what_the_specialist_may_take():
    wanted = [1, 7, 900, math.inf, math.nan, -3, 0]
    plan = Plan(steps=[step(f"s{index}", timeout_s=value) for index, value in enumerate(wanted)])
    assert [one.timeout_s for one in clamped(plan, {"knowledge": 30}).steps] == [5, 7, 30, 30, 30, 30, 30]


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 8))
    order = draw(st.permutations(range(size)))
    steps = []
    for position, index in enumerate(order):
        needs = draw(st.lists(st.sampled_from(order[:position]), unique=True)) if position else []
        steps.append(step(f"s{index}", needs=[f"s{need}" for need in needs]))
    draw(st.randoms()).shuffle(steps)
    return steps, draw(st.sets(st.sampled_from(range(size))))


@given(graphs())
async def test_every_step_ends_once_and_never_before_what_it_needs(graph):
    steps, failing = graph
    done: list[str] = []

    async def run(one, needed):
        assert {outcome.step.id for outcome in needed} == set(one.needs)
        assert set(one.needs) <= set(done)
        done.append(one.id)
        return StepOutcome(step=one, status="failed" if int(one.id[1:]) in failing else "ok", findings="x")

    async def skip(outcome):
        done.append(outcome.step.id)

    assert problems(Plan(steps=steps), KNOWN) == []
    outcomes = await run_steps(steps, run, skip)
    assert [outcome.step.id for outcome in outcomes] == [one.id for one in steps]
    assert sorted(done) == sorted(one.id for one in steps)
    status = {outcome.step.id: outcome.status for outcome in outcomes}
    for one in steps:
        if any(status[need] != "ok" for need in one.needs):
            assert status[one.id] == "skipped"
