"""What all calls of the embedded engine share: the embedder with its cache, and the parts that answer."""

from typing import TYPE_CHECKING

from inference.contracts import CallScope
from inference.embedded.compose.passages import PassageComposer
from inference.embedded.compose.results import ResultComposer
from inference.embedded.routing import Router
from inference.embedded.settings import EmbeddedSettings
from inference.embedded.toolchoice import ToolChooser
from inference.embedded.vectors import VectorCache
from knowledge.contracts import Embedder

if TYPE_CHECKING:
    from inference.embedded.client import EmbeddedClient


class EmbeddedEngine:
    """Built once by wiring; hands out a light client for each call scope."""

    def __init__(self, embedder: Embedder, settings: EmbeddedSettings | None = None) -> None:
        self.settings = settings or EmbeddedSettings()
        vectors = VectorCache(
            embedder, entries=self.settings.vector_cache_entries, timeout_s=self.settings.embed_timeout_s
        )
        self.router = Router(vectors, self.settings)
        self.tools = ToolChooser(vectors, self.settings)
        self.passages = PassageComposer(vectors, self.settings)
        self.results = ResultComposer(self.passages, self.settings)

    def client(self, scope: CallScope) -> "EmbeddedClient":
        """A client that reports what it uses to the scope's meter."""
        from inference.embedded.client import EmbeddedClient

        return EmbeddedClient(self, scope)
