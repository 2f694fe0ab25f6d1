"""Ties AutoGen's CancellationToken to whatever a call is doing at the moment: waiting in a task, or reading."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from autogen_core import CancellationToken

T = TypeVar("T")


class Interrupt:
    """One per call. Tokens never forget a callback, so this holds on to the call only while it lasts."""

    def __init__(self, token: CancellationToken | None) -> None:
        self.fired = False
        self._task: asyncio.Task[Any] | None = None
        self._close: Callable[[], None] | None = None
        self._wanted = token is not None
        if token is not None:
            token.add_callback(self._fire)

    async def run(self, work: Coroutine[Any, Any, T], discard: Callable[[T], None]) -> T:
        """Await `work`, cancelled by the token as by the caller; a result that comes too late goes to `discard`."""
        if not self._wanted:
            return await work
        if self.fired:
            work.close()
            raise asyncio.CancelledError("The cancellation token was used.")
        task = self._task = asyncio.ensure_future(work)
        try:
            return await task
        except asyncio.CancelledError:
            # Cancelled in the same tick in which the work was done: its result would leak.
            if task.done() and not task.cancelled() and task.exception() is None:
                discard(task.result())
            raise
        finally:
            self._task = None

    def closing(self, close: Callable[[], None]) -> None:
        """From now on the token calls `close`, even between two reads."""
        self._close = close

    def detach(self) -> None:
        """The call is over."""
        self._close = None

    def check(self) -> None:
        """Raise `CancelledError` once the token was used."""
        if self.fired:
            raise asyncio.CancelledError("The cancellation token was used.")

    def _fire(self) -> None:
        # The token's lock is held: nothing here may ask it anything.
        self.fired = True
        if self._task is not None:
            self._task.cancel()
        if self._close is not None:
            self._close()
