"""Which model answers for which purpose: the `Models` of the running system."""

from collections.abc import Callable

import structlog
from autogen_core.models import ChatCompletionClient
from prometheus_client import CollectorRegistry

from inference.backends.fleet import Fleet
from inference.client import RemoteChatClient, Route
from inference.contracts import CallScope, Purpose
from inference.fallback import FallbackChatClient
from inference.settings import EMBEDDED, InferenceSettings
from inference.telemetry import InferenceMetrics, Telemetry
from runs.events import TokenUsage
from signalbox.errors import SignalboxError

_log = structlog.get_logger(__name__)

EmbeddedFactory = Callable[[CallScope], ChatCompletionClient]


class RoutedModels:
    """Implements `inference.contracts.Models` by the settings.

    embedded: makes a client of the embedded engine for a scope; that client books its own calls on the scope's meter.
    """

    def __init__(
        self, settings: InferenceSettings, *, embedded: EmbeddedFactory, registry: CollectorRegistry | None = None
    ) -> None:
        self._settings = settings
        self._embedded = embedded
        self._telemetry = Telemetry(InferenceMetrics(registry or CollectorRegistry()))
        self._fleet = Fleet(settings, self._telemetry.metrics)

    async def start(self) -> None:
        """Look at every backend once and keep watching them; calls work without it, only later knowing."""
        await self._fleet.check()
        self._fleet.start()

    def client(self, purpose: Purpose, scope: CallScope) -> ChatCompletionClient:
        """A light client for one scope."""
        chosen = self._settings.for_purpose(purpose)
        order = (chosen.model, *self._fallbacks(purpose))
        clients = [
            self._one(purpose, name, scope, degraded=position > 0) for position, name in enumerate(dict.fromkeys(order))
        ]
        if len(clients) == 1:
            return clients[0]

        def fell_back(index: int, error: SignalboxError) -> None:
            _log.warning("model.fallback", purpose=purpose, model=chosen.model, to=order[index], code=error.code)
            self._telemetry.metrics.fallbacks.labels(purpose, order[index]).inc()
            scope.meter.record(TokenUsage(), engine=self._label(order[index]), degraded=True)

        return FallbackChatClient(clients, when_busy=self._settings.fallback.when_busy, on_fallback=fell_back)

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

    def _fallbacks(self, purpose: Purpose) -> tuple[str, ...]:
        chosen = self._settings.for_purpose(purpose)
        return self._settings.fallback.to if chosen.fallback is None else chosen.fallback

    def _one(self, purpose: Purpose, name: str, scope: CallScope, *, degraded: bool) -> ChatCompletionClient:
        if name == EMBEDDED:
            return self._embedded(scope)
        self._fleet.start()
        parameters = {} if degraded else self._settings.for_purpose(purpose).parameters
        route = Route(purpose, self._fleet.pools[name], parameters, degraded)
        return RemoteChatClient(route, scope, self._telemetry)

    def _label(self, name: str) -> str:
        return EMBEDDED if name == EMBEDDED else self._fleet.pools[name].label
