"""Places for lines: many while nobody else asks, few while people do. Batches take turns."""

import asyncio
import time

from inference.batch.contracts import Load
from inference.batch.settings import BatchSettings

_LOOK_EVERY_S = 0.1
"""How often a batch that has to stand back looks whether people have left."""


class IdleSlots:
    """The places of one process; `take` waits for one, in the order of asking."""

    def __init__(self, load: Load, settings: BatchSettings) -> None:
        self._load = load
        self._settings = settings
        self._peak = 0
        self._peak_at = 0.0
        self._taken = 0
        self._first_in_line = asyncio.Lock()
        self._freed = asyncio.Event()

    @property
    def taken(self) -> int:
        """Lines that are worked on."""
        return self._taken

    @property
    def allowed(self) -> int:
        """How many may be, as things are."""
        if self._load.draining:
            return 0
        wanted = self._settings.concurrency - self._settings.stand_back * self._people()
        return max(self._settings.min_concurrency, wanted)

    def _people(self) -> int:
        """The most that there were lately: who has just read an answer soon asks again, and lines take a while."""
        people, now = self._load.people, time.monotonic()
        if people >= self._peak or now - self._peak_at > self._settings.quiet_after_s:
            self._peak, self._peak_at = people, now
        return self._peak

    async def take(self) -> None:
        """Wait for a place."""
        async with self._first_in_line:
            while self._taken >= self.allowed:
                self._freed.clear()
                try:
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._freed.wait()
                except TimeoutError:
                    continue
            self._taken += 1

    def give(self) -> None:
        """Give a place back."""
        self._taken -= 1
        self._freed.set()
