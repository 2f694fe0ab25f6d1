"""What the gateway counts, in a registry that is passed in."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from runs.events import RunEvent, RunFinished, TokenUsage

_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.3, 0.8, 2, 5, 15, 60)


class Metrics:
    """Requests, turns and tokens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests = Counter(
            "signalbox_http_requests", "Requests by route and status.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "signalbox_http_seconds", "Time to the end of the answer.", ["route"], buckets=_BUCKETS, registry=registry
        )
        self._turns = Counter("signalbox_turns", "Turns by model and end.", ["model", "end"], registry=registry)
        tokens = Counter("signalbox_tokens", "Tokens of all model calls.", ["kind"], registry=registry)
        self._prompt, self._completion = tokens.labels("prompt"), tokens.labels("completion")
        self._calls: dict[str, Counter] = {}
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._lines = Counter("signalbox_batch_lines", "Lines of batches by status.", ["status"], registry=registry)
        self._running = Gauge("signalbox_runs_running", "Runs in progress.", registry=registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request is over; status 0 is a client that left before the answer."""
        key = (route, method, status)
        if (found := self._answered.get(key)) is None:
            found = self._answered[key] = (
                self._requests.labels(route, method, str(status)),
                self._seconds.labels(route),
            )
        found[0].inc()
        found[1].observe(seconds)

    def line_answered(self, status: int) -> None:
        """A line of a batch has what its endpoint said; one that is tried again counts each time."""
        self._lines.labels(str(status)).inc()

    def turn_began(self) -> None:
        """One turn was admitted."""
        self._running.inc()

    def turn_ended(self, model: str, last: RunEvent) -> None:
        """One turn is over, with this event."""
        self._running.dec()
        self._turns.labels(model, last.type.removeprefix("run.")).inc()
        if isinstance(last, RunFinished):
            self._used(last.result.usage)

    def call_ended(self, end: str, usage: TokenUsage) -> None:
        """One call of a bare model is over: finished, failed or cancelled."""
        self._running.dec()
        if (counter := self._calls.get(end)) is None:  # looking labels up costs more than counting
            counter = self._calls[end] = self._turns.labels("direct", end)
        counter.inc()
        self._used(usage)

    def _used(self, usage: TokenUsage) -> None:
        self._prompt.inc(usage.prompt_tokens)
        self._completion.inc(usage.completion_tokens)
