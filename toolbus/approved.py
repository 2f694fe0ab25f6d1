"""Approved calls happen once."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from toolbus.contracts import ToolOutcome

_REMEMBERED = 2000


class ApprovedCalls:
    """Remembers, while this process lives, what became of each approval.

    It complements the state of the approval itself (decided once, by the desk) and the idempotency key that the
    server honours: a second execution for the same approval gets the first one's outcome.
    """

    def __init__(self) -> None:
        self._calls: OrderedDict[str, asyncio.Future[ToolOutcome]] = OrderedDict()

    async def once(self, approval_id: str, execute: Callable[[], Awaitable[ToolOutcome]]) -> ToolOutcome:
        """The outcome of `execute`, run for the first caller only. What was refused before it began may be retried."""
        known = self._calls.get(approval_id)
        if known is not None:
            return await asyncio.shield(known)
        done: asyncio.Future[ToolOutcome] = asyncio.get_running_loop().create_future()
        self._calls[approval_id] = done
        outcome: ToolOutcome | None = None
        try:
            outcome = await execute()
            return outcome
        finally:
            if outcome is None:
                outcome = ToolOutcome("", "cancelled", "The call was interrupted; whether it took effect is unknown.")
            done.set_result(outcome)
            if outcome.status == "denied":
                del self._calls[approval_id]
            while len(self._calls) > _REMEMBERED:
                self._calls.popitem(last=False)
