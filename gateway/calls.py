"""Bare model calls in progress: admitted beside runs, stopped like runs."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Receive

from gateway.limits import Admission
from gateway.metrics import Metrics
from gateway.stopping import GONE, GoneWatch, Stop
from inference.contracts import UsageMeter
from runs.events import TokenUsage
from signalbox.identity import Principal

T = TypeVar("T")
StopCall = Callable[[str], bool]
"""Ends a call for a reason; False when it had ended."""


class LiveCalls:
    """Who calls a bare model now. A call is found by its owner alone."""

    def __init__(self, admission: Admission, metrics: Metrics) -> None:
        self.admission = admission
        self._metrics = metrics
        self._live: dict[str, tuple[Principal, StopCall]] = {}

    def admit(
        self, principal: Principal, run_id: str, stop: StopCall, *, background: bool = False
    ) -> Callable[[str, TokenUsage], None]:
        """Take a place; returns what gives it back and counts how the call ended.

        Raises `BudgetSpent` or `UpstreamDown` at once when there is no place.
        """
        leave = self.admission.admit(principal, background=background)
        self._metrics.turn_began()
        self._live[run_id] = (principal, stop)

        def ended(end: str, usage: TokenUsage) -> None:
            if self._live.pop(run_id, None) is not None:
                leave()
                self._metrics.call_ended(end, usage)

        return ended

    async def until_gone(
        self,
        principal: Principal,
        run_id: str,
        receive: Receive,
        work: Callable[[], Awaitable[T]],
        meter: UsageMeter,
        *,
        background: bool,
    ) -> tuple[T | None, str | None]:
        """What `work` returns, as a call in progress; nothing but the reason where it was stopped."""
        stop = Stop()
        ended = self.admit(principal, run_id, stop, background=background)
        end, result = "failed", None
        try:
            with stop:
                async with GoneWatch(receive, lambda: stop(GONE)):
                    result = await work()
                    end = "finished"
            if end != "finished":
                end = "cancelled"
        finally:
            ended(end, meter.usage)
        return result, stop.reason if end == "cancelled" else None

    def cancel(self, principal: Principal, run_id: str, *, reason: str = "stopped by the user") -> bool | None:
        """Stop the owner's call; None when there is none in progress by that name."""
        owner, stop = self._live.get(run_id, (None, None))
        if owner is None or stop is None or (owner.tenant, owner.user) != (principal.tenant, principal.user):
            return None
        return stop(reason)

    def stop_all(self, *, reason: str) -> int:
        """Stop everything that is in progress; how many that were."""
        return sum(stop(reason) for _, stop in list(self._live.values()))
