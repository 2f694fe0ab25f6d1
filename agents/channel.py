"""The stream of a run's events, from the many who make them to the one who reads them, at the reader's speed."""

import asyncio
import time
from collections.abc import AsyncIterator

from runs.events import RunEvent


class Channel:
    """A bounded queue that numbers events as they leave. When the reader is gone, what is put in is dropped."""

    def __init__(self, run_id: str, *, size: int) -> None:
        self._run_id = run_id
        self._queue: asyncio.Queue[RunEvent | None] = asyncio.Queue(size)
        self._started = time.monotonic()
        self._seq = 0
        self._closed = False

    async def emit(self, event: RunEvent) -> None:
        """Hand over an event; waits while the reader is behind."""
        if not self._closed:
            await self._queue.put(event.model_copy(update={"run_id": self._run_id, "at_ms": self._elapsed_ms()}))

    def numbered(self, event: RunEvent) -> RunEvent:
        """`event` as the next one of the stream."""
        self._seq += 1
        update = {"run_id": self._run_id, "seq": self._seq, "at_ms": event.at_ms or self._elapsed_ms()}
        return event.model_copy(update=update)

    async def events(self, work: "asyncio.Future[RunEvent]") -> AsyncIterator[RunEvent]:
        """Everything that is emitted until `work` is done and the queue is empty."""
        while True:
            if self._queue.empty() and work.done():
                return
            reading = asyncio.ensure_future(self._queue.get())
            try:
                await asyncio.wait([reading, work], return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not reading.done():
                    reading.cancel()
            if reading.done() and not reading.cancelled() and (event := reading.result()) is not None:
                yield self.numbered(event)

    def close(self) -> None:
        """The reader is gone: nobody waits for it any more."""
        self._closed = True
        while not self._queue.empty():
            self._queue.get_nowait()

    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._started) * 1000, 2)
