"""What is measured about every model call: metrics, one span, and the tokens and cost booked to the run."""

import time
from typing import Literal, get_args

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from inference.contracts import CallScope, Purpose
from inference.schemas import Invalid
from inference.settings import Price
from inference.tally import Tally
from signalbox.errors import BudgetSpent

Outcome = Literal["ok", "invalid", "failed", "busy", "cancelled"]

_PROPAGATOR = TraceContextTextMapPropagator()
_TTFT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_DURATION_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class InferenceMetrics:
    """The inference layer's metrics on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        call = ("purpose", "model")
        prefix = "signalbox_inference"
        self.requests = Counter(f"{prefix}_requests", "Model calls.", (*call, "outcome"), registry=registry)
        self.tokens = Counter(f"{prefix}_tokens", "Tokens.", (*call, "kind"), registry=registry)
        self.cost = Counter(f"{prefix}_cost", "Cost by the prices in the settings.", call, registry=registry)
        self.first_token = Histogram(
            f"{prefix}_first_token_seconds", "Time to first token.", call, buckets=_TTFT_BUCKETS, registry=registry
        )
        self.duration = Histogram(
            f"{prefix}_duration_seconds", "Duration of calls.", call, buckets=_DURATION_BUCKETS, registry=registry
        )
        self.invalid = Counter(
            f"{prefix}_invalid_outputs", "Outputs that failed validation.", (*call, "kind"), registry=registry
        )
        self.doubtful = Counter(
            f"{prefix}_doubtful_usage", "Usage reports that cannot be true.", call, registry=registry
        )
        self.retries = Counter(f"{prefix}_retries", "Repeats on the same backend.", ("model",), registry=registry)
        self.failovers = Counter(f"{prefix}_failovers", "Moves to another backend.", ("model",), registry=registry)
        self.fallbacks = Counter(f"{prefix}_fallbacks", "Answers by a fallback model.", call, registry=registry)
        self.rejected = Counter(f"{prefix}_rejected", "Calls refused by admission.", ("reason",), registry=registry)
        self.queued = Gauge(f"{prefix}_queued", "Calls that wait for a place.", registry=registry)
        self.up = Gauge(f"{prefix}_backend_up", "Whether a backend is well.", ("backend",), registry=registry)
        self.breaker_open = Gauge(
            f"{prefix}_breaker_open", "Whether a backend is left alone.", ("backend",), registry=registry
        )


class CallMetrics:
    """The metrics of one purpose on one model, looked up once: labels cost more than counting."""

    def __init__(self, metrics: InferenceMetrics, purpose: str, model: str) -> None:
        labels = (purpose, model)
        self.outcomes = {outcome: metrics.requests.labels(*labels, outcome) for outcome in get_args(Outcome)}
        self.duration = metrics.duration.labels(*labels)
        self.first_token = metrics.first_token.labels(*labels)
        self.prompt = metrics.tokens.labels(*labels, "prompt")
        self.cached = metrics.tokens.labels(*labels, "cached")
        self.completion = metrics.tokens.labels(*labels, "completion")
        self.cost = metrics.cost.labels(*labels)
        self.doubtful = metrics.doubtful.labels(*labels)


class Telemetry:
    """Where measurements go; one for the process."""

    def __init__(self, metrics: InferenceMetrics, tracer: Tracer) -> None:
        self.metrics = metrics
        self.tracer = tracer
        self._calls: dict[tuple[str, str], CallMetrics] = {}

    def of(self, purpose: str, model: str) -> CallMetrics:
        """The metrics of that purpose on that model."""
        key = (purpose, model)
        if key not in self._calls:
            self._calls[key] = CallMetrics(self.metrics, purpose, model)
        return self._calls[key]

    def call(self, purpose: Purpose, model: str, scope: CallScope, price: Price) -> "CallRecord":
        """Begin to measure one call."""
        return CallRecord(self, purpose, model, scope, price)


class CallRecord:
    """The measurements of one HTTP call to a model, from its beginning to `end`."""

    def __init__(self, telemetry: Telemetry, purpose: Purpose, model: str, scope: CallScope, price: Price) -> None:
        self.tally = Tally()
        self.purpose: Purpose = purpose
        self.model = model
        self.backend = ""
        self.degraded = False
        self._telemetry = telemetry
        self._scope = scope
        self._price = price
        self._started = time.perf_counter()
        self._first_token_s: float | None = None
        self._ended = False
        self._span: Span = telemetry.tracer.start_span(
            f"chat {model}",
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "vllm",
                "gen_ai.request.model": model,
                "signalbox.purpose": purpose,
                "signalbox.run_id": scope.run_id,
            },
        )

    def __enter__(self) -> "CallRecord":
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        self.end(_outcome(error))

    def named(self, model: str) -> None:
        """The model's name, where only the server knew it."""
        if model != self.model:
            self.model = model
            self._span.update_name(f"chat {model}")
            self._span.set_attribute("gen_ai.request.model", model)

    def trace_headers(self) -> dict[str, str]:
        """The span's context for the server; empty when nothing records."""
        if not self._span.get_span_context().is_valid:
            return {}
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers, trace.set_span_in_context(self._span, otel_context.Context()))
        return headers

    def first_token(self) -> None:
        """The first token came."""
        if self._first_token_s is None:
            self._first_token_s = time.perf_counter() - self._started

    def invalid(self, kind: str) -> None:
        """What came did not validate."""
        self._telemetry.metrics.invalid.labels(self.purpose, self.model, kind).inc()

    def truncated(self) -> None:
        """A text was cut off and is handed on as it is."""
        self.invalid("truncated")
        self._scope.meter.truncated.add(self.purpose)

    def end(self, outcome: Outcome) -> None:
        """Book everything; the second time does nothing. A call that never reached a model books no tokens."""
        if self._ended:
            return
        self._ended = True
        metrics = self._telemetry.of(self.purpose, self.model)
        metrics.outcomes[outcome].inc()
        metrics.duration.observe(time.perf_counter() - self._started)
        if self._first_token_s is not None:
            metrics.first_token.observe(self._first_token_s)
        if self.backend:
            self._book(metrics, complete=outcome in ("ok", "invalid"))
        self._end_span(outcome)

    def _book(self, metrics: CallMetrics, *, complete: bool) -> None:
        usage = self.tally.result(complete=complete)
        price = self._price
        cached_price = (
            price.input_per_million if price.cached_input_per_million is None else price.cached_input_per_million
        )
        fresh = usage.prompt_tokens - usage.cached_tokens
        cost = (
            fresh * price.input_per_million
            + usage.cached_tokens * cached_price
            + usage.completion_tokens * price.output_per_million
        ) / 1_000_000
        self._scope.meter.record(usage, engine=self.model, degraded=self.degraded, cost=cost, purpose=self.purpose)
        metrics.prompt.inc(usage.prompt_tokens)
        if usage.cached_tokens:
            metrics.cached.inc(usage.cached_tokens)
        metrics.completion.inc(usage.completion_tokens)
        if cost:
            metrics.cost.inc(cost)
        if self.tally.doubtful:
            metrics.doubtful.inc()
        self._span.set_attribute("gen_ai.usage.input_tokens", usage.prompt_tokens)
        self._span.set_attribute("gen_ai.usage.output_tokens", usage.completion_tokens)

    def _end_span(self, outcome: Outcome) -> None:
        span = self._span
        if span.is_recording():
            span.set_attribute("server.address", self.backend)
            span.set_attribute("signalbox.outcome", outcome)
            if outcome != "ok":
                span.set_status(Status(StatusCode.ERROR, outcome))
        span.end()


def _outcome(error: BaseException | None) -> Outcome:
    if error is None:
        return "ok"
    if isinstance(error, Invalid):
        return "invalid"
    if isinstance(error, BudgetSpent):
        return "busy"
    return "failed" if isinstance(error, Exception) else "cancelled"
