"""Vectors from any server that speaks `/v1/embeddings` (vLLM in production)."""

from collections.abc import Sequence

import httpx2
import numpy as np
from pydantic import SecretStr

from knowledge.embed._weights import Floats
from signalbox.errors import ToolFault, UpstreamDown


class OpenAIEmbedder:
    """One connection pool, bounded batches, vectors made unit length whatever the server sends."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        model: str,
        dimensions: int,
        batch_texts: int = 64,
        languages: frozenset[str] = frozenset(),
    ) -> None:
        self._client = client
        self._model = model
        self._dimensions = dimensions
        self._batch = batch_texts
        self._languages = languages

    @classmethod
    def connect(
        cls, base_url: str, model: str, api_key: SecretStr | None, *, dimensions: int, timeout_s: float = 30
    ) -> "OpenAIEmbedder":
        """An embedder with a pool of its own; `base_url` ends in `/v1`."""
        headers = {"Authorization": f"Bearer {api_key.get_secret_value()}"} if api_key else {}
        client = httpx2.AsyncClient(base_url=base_url.rstrip("/") + "/", headers=headers, timeout=timeout_s)
        return cls(client, model=model, dimensions=dimensions)

    @property
    def name(self) -> str:
        """The model's name on its server."""
        return f"openai-{self._model}-{self._dimensions}"

    @property
    def dimensions(self) -> int:
        """As configured; a reply of another width is refused."""
        return self._dimensions

    @property
    def languages(self) -> frozenset[str]:
        """Empty: every language."""
        return self._languages

    async def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, one row a text."""
        rows = [await self._request(list(texts[at : at + self._batch])) for at in range(0, len(texts), self._batch)]
        return np.concatenate(rows) if rows else np.empty((0, self._dimensions), np.float32)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _request(self, texts: list[str]) -> Floats:
        body = {"model": self._model, "input": texts, "encoding_format": "float"}
        try:
            response = await self._client.post("embeddings", json=body)
        except httpx2.TransportError as error:
            where = self._client.base_url
            raise UpstreamDown(
                f"The embedding server at {where} does not answer: {error!r}.", hint="Is it running?"
            ) from error
        if response.status_code >= 500 or response.status_code == 429:
            raise UpstreamDown(f"The embedding server answered {response.status_code}.", hint="Try again.")
        if response.status_code != 200:
            raise ToolFault(
                f"The embedding server refused model {self._model!r}: {response.text[:200]}",
                hint="Are embedding.model and embedding.api_key right?",
            )
        return self._vectors(response, len(texts))

    def _vectors(self, response: httpx2.Response, expected: int) -> Floats:
        try:
            items = sorted(response.json()["data"], key=lambda item: item["index"])
            vectors = np.array([item["embedding"] for item in items], np.float32)
        except (ValueError, KeyError, TypeError) as error:
            raise ToolFault(
                f"What answers at {self._client.base_url} sends no vectors: {error!r}.",
                hint="Is embedding.base_url the address of an embedding server?",
            ) from error
        if vectors.shape != (expected, self._dimensions):
            raise ToolFault(
                f"The embedding server sent vectors of shape {vectors.shape}, not {(expected, self._dimensions)}.",
                hint="Set embedding.dimensions to what the model makes.",
            )
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
