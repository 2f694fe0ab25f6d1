"""The turns that everybody runs, and the model's speech. Standard library only: every framework's venv imports this."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

TOKENS = 10
ANSWER = "Leave is 25 days a year and may be carried over until the end of March of the next year. " * 3


@dataclass(frozen=True)
class Node:
    """One agent: it makes one model call of `latency_s` once all of `needs` are done."""

    name: str
    latency_s: float
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """A plan, steps that need the plan or each other, and an answer that needs the last of them."""

    plan_s: float
    steps: tuple[Node, ...]
    answer_s: float

    @property
    def first(self) -> tuple[str, ...]:
        """The steps that need nothing but the plan."""
        return tuple(step.name for step in self.steps if not step.needs)

    @property
    def last(self) -> tuple[str, ...]:
        """The steps that only the answer needs."""
        needed = {need for step in self.steps for need in step.needs}
        return tuple(step.name for step in self.steps if step.name not in needed)

    @property
    def critical_path_s(self) -> float:
        """The longest chain of model calls: no scheduler can be faster."""
        ends: dict[str, float] = {}
        for step in self.steps:  # in an order in which needs stand first
            ends[step.name] = step.latency_s + max((ends[need] for need in step.needs), default=0.0)
        return self.plan_s + max(ends.values()) + self.answer_s


SHAPES = {
    # Three specialists side by side: 200 + 200 + 200 ms.
    "even": Shape(0.2, tuple(Node(name, 0.2, ()) for name in ("s1", "s2", "s3")), 0.2),
    # A long step beside a chain of three short ones: 200 + 600 + 200 ms. Who waits for the slowest of each level
    # before the next one starts needs 200 + 600 + 200 + 200 + 200 ms.
    "uneven": Shape(
        0.2, (Node("s1", 0.6, ()), Node("s2", 0.2, ()), Node("s3", 0.2, ("s2",)), Node("s4", 0.2, ("s3",))), 0.2
    ),
}


async def speak(latency_s: float) -> AsyncIterator[str]:
    """`ANSWER` in `TOKENS` pieces, evenly over `latency_s`; a late reader does not make the model later."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    size = -(-len(ANSWER) // TOKENS)
    for index in range(TOKENS):
        due = started + latency_s * (index + 1) / TOKENS
        if (wait_s := due - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        yield ANSWER[index * size : (index + 1) * size]
