"""A second look at the best candidates by a server that judges question and passage together."""

from collections.abc import Sequence
from typing import Protocol

import httpx2
import structlog

from knowledge.settings import RerankSettings

_log = structlog.get_logger(__name__)


class RemoteReranker(Protocol):
    """A cross-encoder somewhere else."""

    async def scores(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """One score a text, or None when it cannot be had in time."""
        ...


class HttpReranker:
    """`POST /rerank` as vLLM, Jina and Cohere speak it. When it fails, the order by evidence stands."""

    def __init__(self, settings: RerankSettings, client: httpx2.AsyncClient | None = None) -> None:
        key = settings.api_key
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        self._settings = settings
        self._client = client or httpx2.AsyncClient(headers=headers, timeout=settings.timeout_s)

    async def scores(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """Relevance scores in the order of `texts`."""
        body = {"model": self._settings.model, "query": query, "documents": list(texts), "top_n": len(texts)}
        try:
            response = await self._client.post(self._settings.url, json=body)
            response.raise_for_status()
            found = {item["index"]: float(item["relevance_score"]) for item in response.json()["results"]}
            return [found[index] for index in range(len(texts))]
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            _log.warning("rerank_failed", url=self._settings.url, error=type(error).__name__)
            return None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
