"""Faults of AutoGen 0.7.5 that we work around. Each test holds our side; those marked `upstream` notice a fix there."""

import asyncio
import gc
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken, FunctionCall
from autogen_core.tools import ToolSchema

from agents.contracts import Plan, Step
from agents.guard import GuardedWorkbench
from agents.scope import Turn, bounded, child_of
from inference.contracts import CallScope, UsageMeter
from runs.events import Progress
from tests.agents.memory import MemoryBus, MemoryWorkbench
from tests.agents.scripted import ADA, BRUNO, Reply, ScriptedModels, ask, call, collect, evidence
from toolbus.contracts import Budget, CallContext

REF = "1a2b3c4d"
SCOPE = CallScope(tenant="t", conversation_id="c", run_id="r", meter=UsageMeter())


def one_step():
    return Plan(steps=[Step(id="s1", specialist="knowledge", task="leave")])


def searches(seen):
    if seen.role == "planner":
        return one_step()
    return f"Found: {len(seen.results)}" if seen.results else [call("knowledge__search")]


@pytest.mark.parametrize("error", [ConnectionError("gone"), ValueError("x"), asyncio.CancelledError()])
async def test_a_workbench_that_raises_hangs_no_turn(house, error):
    """Defect 1 (autogen #7956): `_execute_tool_calls` never posts its end mark when a workbench raises."""
    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "x"))
    bus.raising = error
    home = house(searches, bus, specialists={"knowledge": {"module": "agents.specialists.knowledge", "timeout_s": 1}})
    async with asyncio.timeout(5):
        events = await collect(home.turns.run(ask("Leave?")))
    assert events[-1].type == "run.finished"


async def test_upstream_an_unguarded_workbench_that_raises_still_hangs_its_agent():
    """When this fails, AutoGen has mended defect 1: `GuardedWorkbench` may lose its excuse for catching everything."""

    class Raising(MemoryWorkbench):
        async def list_tools(self) -> list[ToolSchema]:
            return [ToolSchema(name="x", description="x", parameters={"type": "object", "properties": {}})]

        async def call_tool(self, *args: Any, **kwargs: Any) -> Any:
            raise ConnectionError("gone")

    models = ScriptedModels(lambda seen: [FunctionCall(id="1", name="x", arguments="{}")])
    bench = Raising(MemoryBus(), context(), ["*"])
    agent = AssistantAgent("a", models.client("specialist", SCOPE), workbench=bench, max_tool_iterations=3)
    token = CancellationToken()
    work = asyncio.ensure_future(agent.run(task="q", cancellation_token=token))
    done, _ = await asyncio.wait([work], timeout=0.3)
    leftover = [task for task in asyncio.all_tasks() if "_execute_tool_calls" in repr(task)]
    work.cancel()
    await asyncio.gather(work, *leftover, return_exceptions=True)
    for task in leftover:
        if task.done() and not task.cancelled():
            task.exception()
    assert not done


@pytest.mark.parametrize("arguments", ["Infinity", "7", '"text"', "[1]", "null", "true"])
async def test_arguments_that_are_no_object_are_told_to_the_model(house, arguments):
    """Defect 2: what `json.loads` takes is passed on, object or not."""

    def say(seen):
        if seen.role == "planner":
            return one_step()
        if seen.results:
            return f"Result: {seen.results[0]}"
        return [FunctionCall(id="1", name="knowledge__search", arguments=arguments)]

    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "x"))
    home = house(say, bus)
    async with asyncio.timeout(5):
        events = await collect(home.turns.run(ask("Leave?")))
    assert events[-1].type == "run.finished"
    if arguments != "null":
        assert bus.started == []
        assert "must be a JSON object" in home.models.by_role("specialist:knowledge")[-1].results[0]


async def test_a_timeout_leaves_no_tool_running():
    """Defect 3: cancelling the task of an agent lets its tool finish its side effect."""
    bus = MemoryBus(desk__do=slow)
    models = ScriptedModels(lambda seen: [call("desk__do")])

    async def work(token: CancellationToken) -> None:
        bench = GuardedWorkbench(MemoryWorkbench(bus, context(), ["*"]), context(), nothing)
        agent = AssistantAgent("a", models.client("specialist", SCOPE), workbench=bench, max_tool_iterations=3)
        await agent.run(task="q", cancellation_token=token)

    with pytest.raises(TimeoutError):
        await bounded(work, child_of(CancellationToken()), timeout_s=0.1, grace_s=0.3)
    await asyncio.sleep(0.5)
    assert bus.completed == []
    assert bus.cancelled == ["desk__do"]


async def test_an_agent_is_made_for_each_step_and_knows_nothing_of_another(house):
    """Defect 7 (cf. autogen #6088): an agent that is used twice shows one user's messages to the next."""
    home = house(lambda seen: one_generalist() if seen.role == "planner" else "Done.")
    for person in (ADA, BRUNO, ADA):
        await collect(home.turns.run(ask(f"secret of {person.user}", principal=person)))
    for seen in home.models.by_role("specialist:generalist"):
        assert ("secret of ada" in seen.prompt) != ("secret of bruno" in seen.prompt)
        assert len(seen.messages) == 2


async def test_the_tokens_of_a_run_are_a_tree_and_cancel_without_a_deadlock():
    """Defect 9: `cancel` holds its lock while it calls back, so a token that is linked in a circle freezes the loop."""
    root = CancellationToken()
    middle = child_of(root)
    leaves = [child_of(middle) for _ in range(3)]
    middle.cancel()
    assert all(leaf.is_cancelled() for leaf in leaves)
    assert not root.is_cancelled()


async def test_a_turn_that_times_out_cancels_without_a_deadlock(house):
    """Defect 9 again, whole: the turn's own token is above all others, and the orchestrator links none back to it."""
    home = house(lambda seen: Reply("x", 30), turn_timeout_s=0.2)
    async with asyncio.timeout(3):
        events = await collect(home.turns.run(ask("Hm?")))
    assert (events[-1].type, events[-1].status) == ("run.failed", 503)


async def test_the_same_specialist_may_work_on_several_steps_at_once(house):
    """Defect 10: GraphFlow knows a participant once."""
    steps = [Step(id=f"s{index}", specialist="generalist", task=f"task {index}") for index in range(3)]
    home = house(lambda seen: Plan(steps=steps) if seen.role == "planner" else Reply("Done.", 0.05))
    await collect(home.turns.run(ask("Go")))
    works = home.models.by_role("specialist:generalist")
    assert max(seen.started for seen in works) < min(seen.ended for seen in works)


async def test_a_text_after_a_tool_call_is_the_answer_and_not_the_tools_result(house):
    """`max_tool_iterations=1`, AutoGen's default, ends after the first tool call with the tool's raw text."""
    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "raw"))
    home = house(searches, bus)
    events = await collect(home.turns.run(ask("Leave?")))
    assert events[-1].result.text == "Found: 1"


def one_generalist():
    return Plan(steps=[Step(id="s1", specialist="generalist", task="x")])


def context():
    async def emit(_: Any) -> None: ...

    from signalbox.identity import Chain

    budget = Budget(tool_calls=9, tokens=9999, deadline=1e12)
    return CallContext(Chain(principal=ADA), "run", "s1", "conv", budget, emit)


async def slow(_: Any):
    await asyncio.sleep(0.3)
    return evidence(REF, "done")


async def nothing(_: Any) -> str:
    return ""


async def test_a_step_that_fails_loses_nothing_of_the_others(house):
    """Defect 4: GraphFlow ends with the first node that fails, and every result with it."""
    home = house(three_steps(b=Reply(error=RuntimeError("boom"))), replans=0)
    events = await collect(home.turns.run(ask("Go")))
    assert [step.status for step in events[-1].result.steps] == ["ok", "failed", "ok"]
    assert "could not do its part" in events[-1].result.text


async def test_a_conversation_goes_on_after_a_turn_that_was_stopped(house):
    """Defect 5: a team that is used again after a cancel says that it is done and has run nothing."""
    slow = iter([Reply("never", 30), "Here I am.", "Here I am."])
    home = house(lambda seen: one_generalist() if seen.role == "planner" else next(slow))
    first = ask("Go")
    reading = asyncio.create_task(collect(home.turns.run(first)))
    while not home.models.by_role("specialist:generalist"):
        await asyncio.sleep(0.01)
    await home.turns.cancel(ADA, first.run_id)
    events = await reading
    assert events[-1].type == "run.cancelled"
    again = await collect(home.turns.run(ask("Again", conversation_id=events[0].conversation_id)))
    assert again[-1].result.text == "Here I am."


async def test_cancelling_the_task_that_reads_ends_the_work_and_starts_no_more(house):
    """Defect 6: a team without a token works on to its end when its task is cancelled."""
    home = house(three_steps(a=Reply("A.", 30), b=Reply("B.", 30), c=Reply("C.", 30)))
    reader = asyncio.create_task(collect(home.turns.run(ask("Go"))))
    while len(home.models.by_role("specialist:generalist")) < 3:
        await asyncio.sleep(0.01)
    reader.cancel()
    await asyncio.wait([reader])
    await home.turns.close()
    calls = len(home.models.seen)
    await asyncio.sleep(0.2)
    assert len(home.models.seen) == calls
    assert all(seen.cancelled for seen in home.models.by_role("specialist:generalist"))


async def test_what_worked_for_a_turn_is_gone_after_it(house):
    """Defect 8 (autogen #5374, #4893): a shared runtime keeps the agents of every request for ever."""
    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "25 days."))
    home = house(searches, bus)

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, (AssistantAgent, Turn, CancellationToken)) for thing in gc.get_objects())

    await collect(home.turns.run(ask("Leave?")))
    bus.contexts.clear()
    home.models.seen.clear()
    before = alive()
    for _ in range(10):
        await collect(home.turns.run(ask("Leave?")))
        bus.contexts.clear()
        home.models.seen.clear()
    assert alive() <= before


async def test_progress_of_a_tool_is_heard_while_it_works(house):
    """Defect 11: AutoGen lets only its own workbench stream events of tools, so ours go another way."""
    go_on = asyncio.Event()

    async def works(_: Any):
        await bus.contexts[-1].emit(Progress(step_id="s1", message="halfway", fraction=0.5))
        await go_on.wait()
        return evidence(REF, "25 days.")

    bus = MemoryBus(knowledge__search=works)
    home = house(searches, bus)
    heard = []
    async for event in home.turns.run(ask("Leave?")):
        heard.append(event.type)
        if event.type == "progress":
            assert not bus.completed
            go_on.set()
    assert heard.index("progress") < heard.index("tool.finished")


def three_steps(**replies: Any):
    steps = [Step(id=name, specialist="generalist", task=name) for name in "abc"]

    def say(seen):
        if seen.role == "planner":
            return Plan(steps=steps)
        if seen.role == "synthesiser":
            return "Merged."
        return replies.get(seen.prompt.split("<task>\n")[1][0], "Done.")

    return say
