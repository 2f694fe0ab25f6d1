"""Plans and replies for scripted turns."""

from agents.contracts import Plan, Step
from runs.events import RunFinished
from tests.agents.scripted import ask, call, collect

A, B = "aaaaaaaa", "bbbbbbbb"


def plan(*steps, reply="", question="", assumptions=()):
    return Plan(
        steps=[Step(id=name, specialist=who, task=f"task {name}", needs=list(needs)) for name, who, needs in steps],
        reply=reply,
        question=question,
        assumptions=list(assumptions),
    )


def script(the_plan, **replies):
    """The plan, then for each task its reply (after one search, for those that have tools), and a merged answer."""

    def say(seen):
        if seen.role == "planner":
            return the_plan(seen) if callable(the_plan) else the_plan
        if seen.role == "synthesiser":
            return replies.get("synthesiser", "Merged.")
        task = seen.prompt.split("<task>\n")[1].split("\n</task>")[0]
        reply = replies[task.removeprefix("task ")]
        return reply(seen) if callable(reply) else reply

    return say


def searching(tool, answer):
    return lambda seen: answer if seen.results else [call(tool)]


async def result_of(home, **request):
    events = await collect(home.turns.run(ask("What?", **request)))
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1].result, events
