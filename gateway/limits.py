"""How much one principal and all together may ask at once; refusals come at once and say when to come back."""

import time
from collections import Counter
from collections.abc import Callable

from signalbox.errors import BudgetSpent, UpstreamDown
from signalbox.identity import Principal

_BUSY_RETRY_S = 2
_MOST_PRINCIPALS = 10_000
_ROUNDING_S = 1e-6


class RateLimit:
    """Requests of one principal: `requests_per_minute` at once, then as many a minute (GCRA, one number for each).

    Written here because the memory storage of the `limits` library hands work to a thread on every request.
    """

    def __init__(self, requests_per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = requests_per_minute
        self._clock = clock
        self._even: dict[tuple[str, str], float] = {}  # when each would be back to no debt

    def check(self, principal: Principal) -> None:
        """Count one request; raises `BudgetSpent` when there were too many."""
        who, now = (principal.tenant, principal.user), self._clock()
        even = max(self._even.get(who, now), now) + 60 / self._limit
        if even - now > 60 + _ROUNDING_S:
            raise BudgetSpent(
                f"You sent more than {self._limit} requests in a minute.",
                hint="Wait as long as Retry-After says.",
                retry_after_s=even - now - 60,
            )
        if len(self._even) >= _MOST_PRINCIPALS:
            self._even = {key: then for key, then in self._even.items() if then > now}
        self._even[who] = even


class Admission:
    """Runs at the same time: a share for each principal, a bound for all, none while draining.

    Background runs (lines of batches) take nobody's place; whoever starts them bounds their number.
    """

    def __init__(self, *, per_principal: int, total: int) -> None:
        self._per_principal = per_principal
        self._total = total
        self._running: Counter[tuple[str, str]] = Counter()
        self._background = 0
        self.draining = False

    @property
    def running(self) -> int:
        """Runs admitted and not ended."""
        return self.people + self._background

    @property
    def people(self) -> int:
        """Those for which a person waits."""
        return self._running.total()

    def admit(self, principal: Principal, *, background: bool = False) -> Callable[[], None]:
        """Take a place and return what gives it back; raises `BudgetSpent` or `UpstreamDown` when there is none."""
        who = (principal.tenant, principal.user)
        if self.draining:
            raise UpstreamDown("The server is shutting down.", hint="Try again in a moment.", retry_after_s=5)
        if background:
            self._background += 1
            return self._leave_background
        if self._running[who] >= self._per_principal:
            raise BudgetSpent(
                f"You have {self._per_principal} runs in progress already.",
                hint="Wait for one to end, or cancel it.",
                retry_after_s=_BUSY_RETRY_S,
            )
        if self.people >= self._total:
            raise UpstreamDown("The server is busy.", hint="Try again in a moment.", retry_after_s=_BUSY_RETRY_S)
        self._running[who] += 1

        def leave() -> None:
            self._running[who] -= 1
            if not self._running[who]:
                del self._running[who]

        return leave

    def _leave_background(self) -> None:
        self._background -= 1
