"""What turns texts into vectors for callers: the embedder of this process, or an embedding model of the settings."""

from collections.abc import Sequence
from typing import Any, Protocol

from inference.contracts import CallScope
from inference.prediction import EmbeddingsClient
from runs.events import TokenUsage

_BYTES_PER_TOKEN = 4


class TextVectors(Protocol):
    """One model that makes vectors, whoever runs it; what it uses is booked on the scope's meter."""

    @property
    def model(self) -> str:
        """The model's name: vectors of another name cannot be compared with its."""
        ...

    async def embed(self, texts: Sequence[str], *, scope: CallScope) -> list[list[float]]:
        """A vector for each text, in their order."""
        ...


class LocalEmbedder(Protocol):
    """As `knowledge.contracts.Embedder`."""

    @property
    def name(self) -> str: ...

    async def embed(self, texts: Sequence[str]) -> Any: ...


class OwnVectors:
    """The embedder that searches the documents: its vectors and those of the passages can be compared."""

    def __init__(self, embedder: LocalEmbedder) -> None:
        self._embedder = embedder

    @property
    def model(self) -> str:
        """The embedder's name."""
        return self._embedder.name

    async def embed(self, texts: Sequence[str], *, scope: CallScope) -> list[list[float]]:
        """A unit vector for each text. Tokens are estimated: the embedder cuts texts off and counts nothing."""
        vectors = await self._embedder.embed(texts)
        tokens = sum(len(text.encode()) for text in texts) // _BYTES_PER_TOKEN
        usage = TokenUsage(prompt_tokens=max(1, tokens), model_calls=1)
        scope.meter.record(usage, engine=self.model, purpose=scope.purpose)
        return vectors.tolist()


class ServedVectors:
    """An embedding model of `inference.models`, with its queue, failover and price."""

    def __init__(self, client: EmbeddingsClient) -> None:
        self._client = client

    @property
    def model(self) -> str:
        """The model's name on its server."""
        return self._client.model

    async def embed(self, texts: Sequence[str], *, scope: CallScope) -> list[list[float]]:
        """A vector for each text, as the server sends it."""
        return await self._client.embed(texts, scope=scope)
