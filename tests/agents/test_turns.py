from agents.contracts import Plan, Step
from runs.events import AnswerSegment, RunFinished
from tests.agents.scripted import MemoryBus, ask, call, collect, evidence

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
    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "Everyone has 25 days of leave."))
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
        "answer.segment",
        "run.finished",
    ]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert last.result.text == "There are 25 days of leave. [1] They expire in March. [1]"
    assert "".join(event.text for event in events if isinstance(event, AnswerSegment)) == last.result.text
