"""A circuit breaker: enough failures within a window, and a replica is left alone; then one call tries it."""

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from inference.settings import BreakerSettings

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Counts the failures of one replica. `enter` claims the single trial of a half-open breaker."""

    def __init__(self, settings: BreakerSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=settings.failures)
        self._opened_at: float | None = None
        self._trial = False

    @property
    def state(self) -> State:
        if self._opened_at is None:
            return "closed"
        return "half-open" if self._clock() - self._opened_at >= self._settings.open_s else "open"

    @property
    def ready(self) -> bool:
        """Whether a call may be sent now."""
        return self._opened_at is None or (self.state == "half-open" and not self._trial)

    @property
    def reopens_in_s(self) -> float:
        """Seconds until a trial is allowed; 0 when one is."""
        if self._opened_at is None:
            return 0
        return max(0.0, self._opened_at + self._settings.open_s - self._clock())

    def enter(self) -> None:
        """A call is being sent."""
        if self._opened_at is not None:
            self._trial = True

    def answered(self) -> None:
        """The replica began an answer: enough for a trial, not enough to forget failures midway through answers."""
        if self._opened_at is not None:
            self.succeeded()

    def succeeded(self) -> None:
        """The replica completed an answer."""
        self._failures.clear()
        self._opened_at = None
        self._trial = False

    def failed(self) -> None:
        """The replica failed; opens the breaker when that was one too many, or the trial."""
        now = self._clock()
        self._failures.append(now)
        full = len(self._failures) == self._settings.failures and now - self._failures[0] <= self._settings.window_s
        if self._trial or (full and self._opened_at is None):
            self._opened_at = now
            self._trial = False

    def gave_up(self) -> None:
        """The call ended without telling anything about the replica (cancelled, or the replica was busy)."""
        self._trial = False
