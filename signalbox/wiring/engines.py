"""The model side: the embedder of this process, the embedded engine, and the models behind each purpose."""

from prometheus_client import CollectorRegistry

from inference.embedded.engine import EmbeddedEngine
from inference.router import RoutedModels
from knowledge.embed import open_embedder
from signalbox.settings import Settings


def build_models(settings: Settings, registry: CollectorRegistry) -> RoutedModels:
    """Models by the settings; the embedder opens its weights only when the embedded engine is first asked."""
    embedder = open_embedder(settings.knowledge.retrieval.embedding, settings.data_dir)
    engine = EmbeddedEngine(embedder, settings.embedded)
    return RoutedModels(settings.inference, embedded=engine.client, registry=registry)
