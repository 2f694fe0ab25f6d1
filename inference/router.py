"""Which model answers for which purpose: the `Models` of the running system."""

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import get_args

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
from inference.settings import DIRECT, EMBEDDED, InferenceSettings, ModelSettings, PurposeSettings
from inference.telemetry import InferenceMetrics, Telemetry
from runs.events import TokenUsage
from signalbox.errors import NotFound, SignalboxError, UserFault
from signalbox.identity import EVERYONE

_log = structlog.get_logger(__name__)

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
        self._when_busy = settings.fallback.when_busy
        self._telemetry = Telemetry(
            InferenceMetrics(registry or CollectorRegistry()), tracer or trace.get_tracer("signalbox.inference")
        )
        self._fleet = Fleet(settings, self._telemetry.metrics)
        self._pools = self._fleet.pools
        self._local = LocalDirect(embedded, EMBEDDED)
        self._settings = settings
        self._routes = self._all_routes(settings)

    def variant(
        self,
        models: Mapping[str, ModelSettings],
        purposes: Mapping[Purpose, PurposeSettings],
        *,
        embedded: EmbeddedFactory | None = None,
    ) -> "RoutedModels":
        """The same servers with other parameters and purposes, as a release has them; closed with these models.

        Raises `UserFault` where a model is named that this installation does not run.
        """
        wanted = {*models, *(purpose.model for purpose in purposes.values())} - {EMBEDDED}
        if unknown := sorted(wanted - self._fleet.pools.keys()):
            raise UserFault(f"This installation does not run the models {unknown}.", hint="Add them to [inference].")
        other = copy(self)
        other._pools = {
            name: pool.tuned(models[name].parameters) if name in models else pool
            for name, pool in self._fleet.pools.items()
        }
        if embedded is not None:
            other._local = LocalDirect(embedded, EMBEDDED)
        other._routes = other._all_routes(self._settings.model_copy(update={"purposes": dict(purposes)}))
        return other

    async def start(self) -> None:
        """Look at every backend once and keep watching them; calls work without it, only later knowing."""
        await self._fleet.check()
        self._fleet.start()

    def client(self, purpose: Purpose, scope: CallScope) -> ChatCompletionClient:
        """A light client for one scope."""
        routes = self._routes[purpose]
        clients = [self._client(route, scope, purpose) for route in routes]
        if len(clients) == 1:
            return clients[0]
        return FallbackChatClient(clients, self._policy(purpose, routes, scope))

    def direct(self, scope: CallScope, *, model: str = DIRECT, money: float | None = None) -> DirectUpstream:
        """A bare model for one request: `direct` as the settings route it, or a model by its name."""
        purpose: Purpose = "batch" if scope.priority else "direct"
        if model == DIRECT:
            routes = self._routes[purpose]
        elif model == EMBEDDED:
            routes = (self._local,)
        elif model in self._pools:
            routes = (Route(purpose, self._pools[model], {}),)
        else:
            known = ", ".join((DIRECT, *self._pools))
            raise NotFound(f"The model {model!r} does not exist.", hint=f"Use one of {known}.", param="model")
        return DirectUpstream(routes, scope, self._telemetry, self._policy(purpose, routes, scope), money=money)

    def offered(self, subjects: Collection[str]) -> tuple[str, ...]:
        """The names under which these subjects may ask for bare models: by the settings, `direct` first."""
        who = {DIRECT: (EVERYONE,), **self._settings.offered}
        return tuple(name for name, allowed in who.items() if not set(allowed).isdisjoint(subjects))

    def embeddings(self, model: str, *, purpose: Purpose = "batch") -> EmbeddingsClient:
        """An embedding model of the settings."""
        return EmbeddingsClient(self._pool(model), self._telemetry, purpose=purpose)

    def reranker(self, model: str) -> RerankClient:
        """A reranking model of the settings."""
        return RerankClient(self._pool(model), self._telemetry)

    def classifier(self, model: str) -> ClassifyClient:
        """A classifying model of the settings, for instance a guard."""
        return ClassifyClient(self._pool(model), self._telemetry, purpose="reviewer")

    def engine(self, purpose: Purpose) -> str:
        """What answers for this purpose: `embedded`, or the model's name."""
        return self._routes[purpose][0].label

    async def health(self) -> dict[str, str]:
        """Per backend: `up`, or what is wrong with it. Empty when only the embedded engine is used."""
        await self._fleet.check()
        return {name: replica.state for name, replica in self._fleet.replicas.items()}

    async def close(self) -> None:
        """Close pools and stop probes."""
        await self._fleet.close()

    def _all_routes(self, settings: InferenceSettings) -> dict[Purpose, tuple[Route | LocalDirect, ...]]:
        return {purpose: self._routes_for(purpose, settings) for purpose in get_args(Purpose)}

    def _routes_for(self, purpose: Purpose, settings: InferenceSettings) -> tuple[Route | LocalDirect, ...]:
        chosen = settings.for_purpose(purpose)
        others = settings.fallback.to if chosen.fallback is None else chosen.fallback
        routes: list[Route | LocalDirect] = []
        for name in dict.fromkeys((chosen.model, *others)):
            if name == EMBEDDED:
                routes.append(self._local)
                continue
            parameters = chosen.parameters if name == chosen.model else {}
            routes.append(Route(purpose, self._pools[name], parameters, degraded=bool(routes)))
        return tuple(routes)

    def _client(self, route: Route | LocalDirect, scope: CallScope, purpose: Purpose) -> ChatCompletionClient:
        if isinstance(route, LocalDirect):
            return route.make(replace(scope, purpose=purpose))
        return RemoteChatClient(route, scope, self._telemetry)

    def _policy(self, purpose: Purpose, routes: Sequence[Route | LocalDirect], scope: CallScope) -> FallbackPolicy:
        def tell(index: int, error: SignalboxError) -> None:
            label = routes[index].label
            _log.warning("model.fallback", purpose=purpose, model=routes[0].label, to=label, code=error.code)
            self._telemetry.metrics.fallbacks.labels(purpose, label).inc()
            scope.meter.record(TokenUsage(), engine=label, degraded=True)

        return FallbackPolicy(len(routes), self._when_busy, tell)

    def _pool(self, name: str) -> ModelPool:
        if name not in self._fleet.pools:
            raise NotFound(f"The model {name!r} is not in inference.models.", hint="Add it to the settings.")
        return self._fleet.pools[name]
