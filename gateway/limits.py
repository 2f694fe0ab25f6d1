"""How much one principal and all together may ask at once; refusals come at once and say when to come back."""

import time
from collections import Counter
from collections.abc import Callable

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from signalbox.errors import BudgetSpent, UpstreamDown
from signalbox.identity import Principal

_BUSY_RETRY_S = 2


class RateLimit:
    """Requests per minute of one principal, over a moving window."""

    def __init__(self, requests_per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(requests_per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def check(self, principal: Principal) -> None:
        """Count one request; raises `BudgetSpent` when there were too many."""
        if await self._limiter.hit(self._item, principal.tenant, principal.user):
            return
        window = await self._limiter.get_window_stats(self._item, principal.tenant, principal.user)
        raise BudgetSpent(
            f"You sent more than {self._item.amount} requests in a minute.",
            hint="Wait as long as Retry-After says.",
            retry_after_s=window.reset_time - time.time(),
        )


class Admission:
    """Runs at the same time: a share for each principal, a bound for all, none while draining."""

    def __init__(self, *, per_principal: int, total: int) -> None:
        self._per_principal = per_principal
        self._total = total
        self._running: Counter[tuple[str, str]] = Counter()
        self.draining = False

    @property
    def running(self) -> int:
        """Runs admitted and not ended."""
        return self._running.total()

    def admit(self, principal: Principal) -> Callable[[], None]:
        """Take a place and return what gives it back; raises `BudgetSpent` or `UpstreamDown` when there is none."""
        who = (principal.tenant, principal.user)
        if self.draining:
            raise UpstreamDown("The server is shutting down.", hint="Try again in a moment.", retry_after_s=5)
        if self._running[who] >= self._per_principal:
            raise BudgetSpent(
                f"You have {self._per_principal} runs in progress already.",
                hint="Wait for one to end, or cancel it.",
                retry_after_s=_BUSY_RETRY_S,
            )
        if self.running >= self._total:
            raise UpstreamDown("The server is busy.", hint="Try again in a moment.", retry_after_s=_BUSY_RETRY_S)
        self._running[who] += 1

        def leave() -> None:
            self._running[who] -= 1
            if not self._running[who]:
                del self._running[who]

        return leave
