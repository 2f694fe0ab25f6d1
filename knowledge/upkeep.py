"""What the knowledge layer does for itself, at its start and from time to time: each part by itself, until it ends."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from signalbox.errors import SignalboxError

_log = structlog.get_logger(__name__)
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0


@dataclass(frozen=True)
class Part:
    """One thing to do; `recurs`: again after every interval, not only until it was done once."""

    name: str
    work: Callable[[], Awaitable[object]]
    recurs: bool = True


class Upkeep:
    """Keeps its parts done. One that fails, as when a store is down, is tried again soon and holds up no other."""

    def __init__(self, parts: Sequence[Part], *, every_s: float) -> None:
        self._parts = parts
        self._every_s = every_s
        self._untried = {part.name for part in parts}
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._run(), name="knowledge-upkeep")

    async def settled(self) -> None:
        """Wait until every part was tried once, or all of it was stopped."""
        if self._task is not None:
            await self._tried.wait()

    async def stop(self) -> None:
        """End all parts, whatever they are at."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for part in self._parts:
                    group.create_task(self._keep(part), name=f"knowledge-upkeep-{part.name}")
        finally:
            self._tried.set()

    async def _keep(self, part: Part) -> None:
        pause_s = min(_FIRST_PAUSE_S, self._every_s)
        while True:
            done = await _attempt(part)
            self._untried.discard(part.name)
            if not self._untried:
                self._tried.set()
            if done and not part.recurs:
                return
            wait_s = self._every_s if done else pause_s
            pause_s = min(_FIRST_PAUSE_S if done else 2 * pause_s, _LONGEST_PAUSE_S, self._every_s)
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))  # noqa: S311 - processes that share a store


async def _attempt(part: Part) -> bool:
    try:
        await part.work()
    except SignalboxError as error:
        _log.warning("knowledge_upkeep_failed", part=part.name, code=error.code, error=str(error))
    except Exception:  # noqa: BLE001 - a task root: the service goes on, the log says what is wrong
        _log.exception("knowledge_upkeep_failed", part=part.name)
    else:
        return True
    return False
