"""Waits for the next event of a run, or for silence."""

import asyncio


class Waker:
    """Waits for the next event; what comes while nobody waits is seen by looking at the events first."""

    def __init__(self) -> None:
        self._future: asyncio.Future[bool] | None = None

    def set(self) -> None:
        """Wake who waits."""
        self._resolve(woken=True)

    async def wait(self, idle_s: float | None) -> bool:
        """False when `idle_s` passed without an event."""
        loop = asyncio.get_running_loop()
        self._future = loop.create_future()
        # A timer of our own: asyncio.timeout costs five times as much, once for every token.
        timer = None if idle_s is None else loop.call_later(idle_s, self._resolve)
        try:
            return await self._future
        finally:
            self._future = None
            if timer is not None:
                timer.cancel()

    def _resolve(self, *, woken: bool = False) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(woken)
