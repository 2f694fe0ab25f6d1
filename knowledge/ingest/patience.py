"""How long a run waits for its record: as long as anything moves, and no longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Patience:
    """Waits of one run that end when nothing has moved for a while, in any of them.

    A document of 15,000 passages is embedded for minutes, and small ones queue behind it for the same embedder: none of
    these is a fault. Only when no write at all gets a step further has the record stopped to answer.
    """

    def __init__(self, quiet_s: float) -> None:
        self.quiet_s = quiet_s
        self._waits: set[asyncio.Timeout] = set()

    def moved(self) -> None:
        """A step was done: whoever waits gets the whole time again."""
        until = asyncio.get_running_loop().time() + self.quiet_s
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(until)

    @asynccontextmanager
    async def wait(self) -> AsyncIterator[None]:
        """Raises `TimeoutError` out of the block when nothing moves."""
        async with asyncio.timeout(self.quiet_s) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)
        self.moved()
