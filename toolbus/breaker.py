"""A circuit breaker: after several failures in a row nobody waits for the same failure again for a while."""

import time
from collections.abc import Callable

from signalbox.errors import UpstreamDown


class CircuitBreaker:
    """Closed until `failures` in a row; then open for `cool_down_s`; then one trial decides."""

    def __init__(
        self, name: str, *, failures: int, cool_down_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._limit = failures
        self._cool_down_s = cool_down_s
        self._clock = clock
        self._failed = 0
        self._open_until = 0.0
        self._trial = False

    @property
    def open_for_s(self) -> float:
        """Seconds until the next trial; 0 when calls pass."""
        return max(0.0, self._open_until - self._clock()) if self._failed >= self._limit else 0.0

    def check(self) -> None:
        """Let a call pass, or raise `UpstreamDown`."""
        if self._failed < self._limit:
            return
        wait_s = self.open_for_s
        if wait_s > 0 or self._trial:
            raise UpstreamDown(
                f"The tool server {self._name!r} failed {self._failed} times in a row and is left alone for now.",
                hint="Answer without it, or try again later.",
                retry_after_s=wait_s or self._cool_down_s,
            )
        self._trial = True

    def succeeded(self) -> None:
        """The server answered, be it with an error of its own."""
        self._failed = 0
        self._trial = False

    def failed(self) -> None:
        """The server did not answer."""
        self._failed += 1
        self._trial = False
        if self._failed >= self._limit:
            self._open_until = self._clock() + self._cool_down_s

    def abandoned(self) -> None:
        """The caller went away before the outcome was known."""
        self._trial = False
