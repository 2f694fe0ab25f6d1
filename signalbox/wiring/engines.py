"""The model side: the embedder of this process, the embedded engine, and the models behind each purpose."""

from prometheus_client import CollectorRegistry

from inference.embedded.engine import EmbeddedEngine
from inference.router import RoutedModels
from knowledge.contracts import Embedder
from signalbox.settings import Settings


def build_models(settings: Settings, embedder: Embedder, registry: CollectorRegistry) -> RoutedModels:
    """Models by the settings; the embedded engine stands behind them all."""
    engine = EmbeddedEngine(embedder, settings.embedded)
    return RoutedModels(settings.inference, embedded=engine.client, registry=registry)
