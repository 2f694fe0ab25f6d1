"""The stream of a run's events, from the many who make them to the one who reads them, at the reader's speed."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator

from runs.events import RunEvent


class Channel:
    """A bounded queue that numbers events as they leave. Once it has ended, what is put in is dropped."""

    def __init__(self, run_id: str, *, size: int) -> None:
        self._run_id = run_id
        self._size = size
        self._waiting: deque[tuple[RunEvent, float]] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._started = time.monotonic()
        self._seq = 0
        self._ended = False

    async def emit(self, event: RunEvent) -> None:
        """Hand over an event; waits while the reader is behind."""
        at_ms = self._elapsed_ms()
        while len(self._waiting) >= self._size and not self._ended:
            self._room.clear()
            await self._room.wait()
        if not self._ended:
            self._waiting.append((event, at_ms))
            self._news.set()

    async def events(self) -> AsyncGenerator[RunEvent, None]:
        """Everything that was emitted before the end."""
        while True:
            while not self._waiting and not self._ended:
                self._news.clear()
                await self._news.wait()
            if not self._waiting:
                return
            event, at_ms = self._waiting.popleft()
            self._room.set()
            yield self._stamped(event, at_ms)

    def numbered(self, event: RunEvent) -> RunEvent:
        """`event` as the next one of the stream."""
        return self._stamped(event, self._elapsed_ms())

    def end(self) -> None:
        """Nothing more will come, or nobody reads it any more: whoever waits goes on."""
        self._ended = True
        self._news.set()
        self._room.set()

    def _stamped(self, event: RunEvent, at_ms: float) -> RunEvent:
        self._seq += 1
        return event.model_copy(update={"run_id": self._run_id, "seq": self._seq, "at_ms": at_ms})

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._started) * 1000, 2)
