"""The model side: the embedder of this process, the embedded engine, and the models behind each purpose."""

from prometheus_client import CollectorRegistry

from inference.contracts import Models
from inference.embedded.engine import EmbeddedEngine
from inference.embedded.settings import EmbeddedSettings
from inference.purposes import Purpose
from inference.router import RoutedModels
from inference.settings import EMBEDDED, ModelSettings, PurposeSettings
from inference.texts import OwnVectors, ServedVectors, TextVectors
from knowledge.contracts import Embedder
from signalbox.settings import Settings


class Engines:
    """The models by the settings, and the same models as a release has them."""

    def __init__(self, settings: Settings, embedder: Embedder, registry: CollectorRegistry) -> None:
        self._settings = settings.embedded
        self._embedder = embedder
        engine = EmbeddedEngine(embedder, settings.embedded)
        self.models = RoutedModels(settings.inference, embedded=engine.client, registry=registry)
        served = settings.inference.embeddings
        self.vectors: TextVectors = (
            OwnVectors(embedder)
            if served == EMBEDDED
            else ServedVectors(self.models.embeddings(served, purpose="direct"))
        )

    def vary(
        self,
        models: dict[str, ModelSettings],
        purposes: dict[Purpose, PurposeSettings],
        embedded: EmbeddedSettings,
    ) -> Models:
        """On the same servers, with the same embedder."""
        other = None if embedded == self._settings else EmbeddedEngine(self._embedder, embedded).client
        return self.models.variant(models, purposes, embedded=other)


def build_models(settings: Settings, embedder: Embedder, registry: CollectorRegistry) -> RoutedModels:
    """Models by the settings; the embedded engine stands behind them all."""
    return Engines(settings, embedder, registry).models
