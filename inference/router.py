"""Which model answers for which purpose: the `Models` of the running system."""

from collections.abc import Callable

import structlog
from autogen_core.models import ChatCompletionClient
from opentelemetry import trace
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from inference.backends.fleet import Fleet
from inference.backends.pool import ModelPool
from inference.client import RemoteChatClient, Route
from inference.contracts import CallScope, Purpose
from inference.direct import DirectUpstream
from inference.direct_local import LocalDirect
from inference.fallback import FallbackChatClient, FallbackPolicy
from inference.prediction import ClassifyClient, EmbeddingsClient, RerankClient
from inference.settings import EMBEDDED, InferenceSettings
from inference.telemetry import InferenceMetrics, Telemetry
from runs.events import TokenUsage
from signalbox.errors import NotFound, SignalboxError

_log = structlog.get_logger(__name__)

DIRECT = "direct"

EmbeddedFactory = Callable[[CallScope], ChatCompletionClient]


class RoutedModels:
    """Implements `inference.contracts.Models` by the settings.

    embedded: makes a client of the embedded engine for a scope; that client books its own calls on the scope's meter.
    """

    def __init__(
        self,
        settings: InferenceSettings,
        *,
        embedded: EmbeddedFactory,
        registry: CollectorRegistry | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._settings = settings
        self._embedded = embedded
        self._telemetry = Telemetry(
            InferenceMetrics(registry or CollectorRegistry()), tracer or trace.get_tracer("signalbox.inference")
        )
        self._fleet = Fleet(settings, self._telemetry.metrics)

    async def start(self) -> None:
        """Look at every backend once and keep watching them; calls work without it, only later knowing."""
        await self._fleet.check()
        self._fleet.start()

    def client(self, purpose: Purpose, scope: CallScope) -> ChatCompletionClient:
        """A light client for one scope."""
        chosen = self._settings.for_purpose(purpose)
        order = tuple(dict.fromkeys((chosen.model, *self._fallbacks(purpose))))
        clients = [self._one(purpose, name, scope, degraded=place > 0) for place, name in enumerate(order)]
        if len(clients) == 1:
            return clients[0]
        return FallbackChatClient(clients, self._policy(purpose, order, scope))

    def direct(self, scope: CallScope, *, model: str = DIRECT) -> DirectUpstream:
        """A bare model for one request: `direct` as the settings route it, or a model by its name."""
        if model == DIRECT:
            order = tuple(dict.fromkeys((self._settings.for_purpose("direct").model, *self._fallbacks("direct"))))
        elif model in self.direct_names():
            order = (model,)
        else:
            known = ", ".join(self.direct_names())
            raise NotFound(f"The model {model!r} does not exist.", hint=f"Use one of {known}.", param="model")
        routes = tuple(self._direct_route(name, degraded=place > 0) for place, name in enumerate(order))
        return DirectUpstream(routes, scope, self._telemetry, self._policy("direct", order, scope))

    def direct_names(self) -> tuple[str, ...]:
        """The names by which bare models can be asked."""
        return (DIRECT, *self._fleet.pools)

    def embeddings(self, model: str) -> EmbeddingsClient:
        """An embedding model of the settings."""
        return EmbeddingsClient(self._pool(model), self._telemetry)

    def reranker(self, model: str) -> RerankClient:
        """A reranking model of the settings."""
        return RerankClient(self._pool(model), self._telemetry)

    def classifier(self, model: str) -> ClassifyClient:
        """A classifying model of the settings, for instance a guard."""
        return ClassifyClient(self._pool(model), self._telemetry, purpose="reviewer")

    def engine(self, purpose: Purpose) -> str:
        """What answers for this purpose: `embedded`, or the model's name."""
        return self._label(self._settings.for_purpose(purpose).model)

    async def health(self) -> dict[str, str]:
        """Per backend: `up`, or what is wrong with it. Empty when only the embedded engine is used."""
        await self._fleet.check()
        return {name: replica.state for name, replica in self._fleet.replicas.items()}

    async def close(self) -> None:
        """Close pools and stop probes."""
        await self._fleet.close()

    def _policy(self, purpose: Purpose, order: tuple[str, ...], scope: CallScope) -> FallbackPolicy:
        def tell(name: str, error: SignalboxError) -> None:
            _log.warning("model.fallback", purpose=purpose, model=order[0], to=name, code=error.code)
            self._telemetry.metrics.fallbacks.labels(purpose, name).inc()
            scope.meter.record(TokenUsage(), engine=self._label(name), degraded=True)

        return FallbackPolicy(order, self._settings.fallback.when_busy, tell)

    def _fallbacks(self, purpose: Purpose) -> tuple[str, ...]:
        chosen = self._settings.for_purpose(purpose)
        return self._settings.fallback.to if chosen.fallback is None else chosen.fallback

    def _one(self, purpose: Purpose, name: str, scope: CallScope, *, degraded: bool) -> ChatCompletionClient:
        if name == EMBEDDED:
            return self._embedded(scope)
        return RemoteChatClient(self._route(purpose, name, degraded=degraded), scope, self._telemetry)

    def _direct_route(self, name: str, *, degraded: bool) -> Route | LocalDirect:
        if name == EMBEDDED:
            return LocalDirect(self._embedded, EMBEDDED)
        return self._route("direct", name, degraded=degraded)

    def _route(self, purpose: Purpose, name: str, *, degraded: bool) -> Route:
        chosen = self._settings.for_purpose(purpose)
        return Route(purpose, self._pool(name), chosen.parameters if chosen.model == name else {}, degraded)

    def _pool(self, name: str) -> ModelPool:
        if name not in self._fleet.pools:
            raise NotFound(f"The model {name!r} is not in inference.models.", hint="Add it to the settings.")
        return self._fleet.pools[name]

    def _label(self, name: str) -> str:
        return EMBEDDED if name == EMBEDDED else self._fleet.pools[name].label
