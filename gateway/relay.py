"""Pieces from the one who makes them to the one who sends them on: silence is noticed, a slow reader is waited for."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Generic, TypeVar

from runs.waker import Waker

T = TypeVar("T")
_MOST_WAITING = 64


class Relay(Generic[T]):
    """Pulls `pieces` in a task of its own, which `stop` ends."""

    def __init__(self, pieces: AsyncGenerator[T, None], *, name: str) -> None:
        self._pieces = pieces
        self._waiting: list[T] = []
        self._waker = Waker()
        self._room = asyncio.Event()
        self._task = asyncio.create_task(self._pull(), name=name)
        self._task.add_done_callback(lambda _: self._waker.set())
        self.stopped: str | None = None

    async def next(self, idle_s: float) -> list[T] | None:
        """What has come since; empty after `idle_s` of silence, None at the end. Raises what broke it off."""
        if not self._waiting and not self._task.done():
            await self._waker.wait(idle_s)
        if self._waiting:
            came, self._waiting = self._waiting, []
            self._room.set()
            return came
        if not self._task.done():
            return []
        if not self._task.cancelled():
            self._task.result()
        return None

    def stop(self, reason: str) -> bool:
        """End it; False when it had ended."""
        if self._task.done() or self.stopped is not None:
            return False
        self.stopped = reason
        self._task.cancel()
        return True

    async def close(self) -> None:
        """End it and wait until it has."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # seen: its reader has gone, or has had it

    async def _pull(self) -> None:
        async with aclosing(self._pieces) as pieces:
            async for piece in pieces:
                self._waiting.append(piece)
                self._waker.set()
                while len(self._waiting) >= _MOST_WAITING:
                    self._room.clear()
                    await self._room.wait()
