"""What the gateway counts, in a registry that is passed in."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from runs.events import TokenUsage

_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.3, 0.8, 2, 5, 15, 60)


class Metrics:
    """Requests, turns and tokens."""

    def __init__(self, registry: CollectorRegistry, *, running: Callable[[], int]) -> None:
        self.registry = registry
        self._requests = Counter(
            "signalbox_http_requests", "Requests by route and status.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "signalbox_http_seconds", "Time to the end of the answer.", ["route"], buckets=_BUCKETS, registry=registry
        )
        self._turns = Counter("signalbox_turns", "Turns by model and end.", ["model", "end"], registry=registry)
        self._tokens = Counter("signalbox_tokens", "Tokens of all model calls.", ["kind"], registry=registry)
        Gauge("signalbox_runs_running", "Runs in progress.", registry=registry).set_function(running)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request is over; status 0 is a client that left before the answer."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def turn(self, model: str, end: str, usage: TokenUsage | None = None) -> None:
        """One turn is over."""
        self._turns.labels(model, end).inc()
        if usage is not None:
            self._tokens.labels("prompt").inc(usage.prompt_tokens)
            self._tokens.labels("completion").inc(usage.completion_tokens)
