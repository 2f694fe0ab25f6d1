"""Many turns of every kind: nothing of them stays behind."""

import asyncio
import contextlib
import gc

from agents.contracts import Plan, Step
from agents.orchestrator import Orchestrator
from agents.scope import Turn
from signalbox.errors import UpstreamDown
from tests.agents.memory import MemoryBus
from tests.agents.scripted import Reply, ask, call, collect, evidence

REF = "1a2b3c4d"


async def test_two_hundred_turns_with_faults_and_stops_leave_nothing_behind(house):
    def say(seen):
        kind = seen.prompt.split("kind-")[1][0]
        if seen.role == "planner":
            return Plan(
                steps=[Step(id=name, specialist=name, task=f"x kind-{kind}") for name in ("knowledge", "generalist")]
            )
        match kind:
            case "1":
                return Reply(error=UpstreamDown("down"))
            case "2":
                return Reply("x", latency_s=9)
            case "3" if seen.role == "specialist:knowledge":
                return [call("knowledge__hang")]
        if seen.role == "specialist:knowledge" and not seen.results:
            return [call("knowledge__search")]
        return f"Done. [#{REF}]"

    async def hang(_):
        await asyncio.sleep(9)
        raise AssertionError

    bus = MemoryBus(knowledge__search=lambda _: evidence(REF, "Text."), knowledge__hang=hang)
    home = house(say, bus)

    async def one(index):
        request = ask(f"kind-{index % 5}")
        if index % 5 not in (2, 3):
            await collect(home.turns.run(request))
            return
        async with contextlib.aclosing(home.turns.run(request)) as events:
            async for event in events:
                if event.type == "step.started":
                    await asyncio.sleep(0.01)
                    return

    await one(0)
    home.models.seen.clear()
    home.bus.contexts.clear()
    gc.collect()
    before, others = asyncio.all_tasks(), alive()
    for start in range(0, 200, 25):
        await asyncio.gather(*(one(index) for index in range(start, start + 25)))
    home.bus.contexts.clear()
    home.models.seen.clear()
    gc.collect()
    assert asyncio.all_tasks() == before
    assert alive() <= others
    assert home.turns._live == {}  # pyright: ignore[reportPrivateUsage]
    answered = [
        message for kept in home.conversations.messages.values() for message in kept if message.role == "assistant"
    ]
    assert len(answered) == 201


def alive() -> set[int]:
    # Not isinstance: it would ask lazy objects for their class and so wake them up.
    return {id(thing) for thing in gc.get_objects() if type(thing) in (Turn, Orchestrator)}
