"""Why one attempt at one replica failed, and what that means for the next attempt."""


class AttemptFailed(Exception):
    """One replica did not serve the call; nothing of an answer was handed out yet."""

    def __init__(
        self,
        reason: str,
        *,
        counts: bool = True,
        busy: bool = False,
        slow: bool = False,
        retry_after_s: float | None = None,
        hint: str = "",
    ) -> None:
        """counts: whether the breaker counts it. busy: the replica is well but full. slow: a time limit passed."""
        super().__init__(reason)
        self.reason = reason
        self.counts = counts
        self.busy = busy
        self.slow = slow
        self.retry_after_s = retry_after_s
        self.hint = hint
