"""The model calls and nothing else: what no orchestrator can be faster than."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bench.orchestration.shapes import Shape, speak

PACKAGES = ("uvloop",)


@asynccontextmanager
async def open_turn(shape: Shape) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Gather the steps, each after what it needs."""

    async def say(latency_s: float) -> str:
        return "".join([piece async for piece in speak(latency_s)])

    async def turn() -> str:
        await say(shape.plan_s)
        tasks: dict[str, asyncio.Task[str]] = {}

        async def step(latency_s: float, needs: list[asyncio.Task[str]]) -> str:
            if needs:
                await asyncio.wait(needs)
            return await say(latency_s)

        for node in shape.steps:
            tasks[node.name] = asyncio.create_task(step(node.latency_s, [tasks[need] for need in node.needs]))
        await asyncio.gather(*tasks.values())
        return await say(shape.answer_s)

    yield turn
