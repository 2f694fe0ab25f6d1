"""Models that predict rather than write: embeddings, rerank scores and classes, from the same kind of server.

Small clients for knowledge and the reviewer; connections, breakers, queue and key handling are those of chat calls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from inference.backends.job import Job
from inference.backends.pool import ModelPool
from inference.contracts import CallScope, Purpose, UsageMeter
from inference.errors import ModelFault
from inference.request import headers_for
from inference.telemetry import Telemetry
from signalbox.errors import UserFault

_MAX_INPUTS = 2048


@dataclass(frozen=True)
class Ranked:
    """A document of a rerank request: its place in the request, and how well it fits."""

    index: int
    score: float


@dataclass(frozen=True)
class Classified:
    """The class of one text, with the probability of every class in the server's order."""

    label: str
    probabilities: tuple[float, ...]


class _Predictor:
    def __init__(self, pool: ModelPool, telemetry: Telemetry, *, purpose: Purpose = "batch", priority: int = 0) -> None:
        self._pool = pool
        self._telemetry = telemetry
        self._purpose: Purpose = purpose
        self._priority = priority

    @property
    def model(self) -> str:
        """The model's name."""
        return self._pool.label

    async def _ask(self, path: str, body: dict[str, Any], scope: CallScope | None, rows: str) -> list[Any]:
        scope = scope or CallScope("default", "", "", UsageMeter())
        pool = self._pool
        with self._telemetry.call(self._purpose, pool.label, scope, pool.model.price) as record:
            name = await pool.resolve(record)
            priority = max(self._priority, scope.priority)
            job = Job(path, orjson.dumps({"model": name, **body}), scope, priority, record)
            job.headers = headers_for(scope, record)
            reply = await pool.fetch(job)
            record.tally.report(reply.get("usage"))
            found = reply.get(rows)
            if not isinstance(found, list):
                raise self._misshapen(path)
            return found

    def _misshapen(self, path: str) -> ModelFault:
        return ModelFault(
            f"The reply of {self.model!r} to {path} is not what was asked for.",
            hint="Is this model served for this task?",
        )


class EmbeddingsClient(_Predictor):
    """`/v1/embeddings`: a vector for each text."""

    async def embed(self, texts: Sequence[str], *, scope: CallScope | None = None) -> list[list[float]]:
        """Vectors in the order of `texts`."""
        if not texts:
            return []
        _check(texts)
        path = "/v1/embeddings"
        rows = await self._ask(path, {"input": list(texts), "encoding_format": "float"}, scope, "data")
        try:
            vectors = {int(row["index"]): [float(x) for x in row["embedding"]] for row in rows}
            ordered = [vectors[index] for index in range(len(texts))]
        except (KeyError, TypeError, ValueError) as error:
            raise self._misshapen(path) from error
        if len({len(vector) for vector in ordered}) != 1:
            raise self._misshapen(path)
        return ordered


class RerankClient(_Predictor):
    """`/v1/rerank`: how well each document answers a query."""

    async def rerank(
        self, query: str, documents: Sequence[str], *, top: int | None = None, scope: CallScope | None = None
    ) -> list[Ranked]:
        """Best first, at most `top` of them."""
        if not documents:
            return []
        _check(documents)
        path = "/v1/rerank"
        body = {"query": query, "documents": list(documents), **({"top_n": top} if top else {})}
        rows = await self._ask(path, body, scope, "results")
        try:
            ranked = [Ranked(int(row["index"]), float(row["relevance_score"])) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise self._misshapen(path) from error
        if any(not 0 <= item.index < len(documents) for item in ranked):
            raise self._misshapen(path)
        return sorted(ranked, key=lambda item: -item.score)[:top]


class ClassifyClient(_Predictor):
    """`/classify`: the class of each text, for instance by a guard model."""

    async def classify(self, texts: Sequence[str], *, scope: CallScope | None = None) -> list[Classified]:
        """Classes in the order of `texts`."""
        if not texts:
            return []
        _check(texts)
        path = "/classify"
        rows = await self._ask(path, {"input": list(texts)}, scope, "data")
        try:
            found = {int(row["index"]): Classified(str(row["label"]), tuple(map(float, row["probs"]))) for row in rows}
            return [found[index] for index in range(len(texts))]
        except (KeyError, TypeError, ValueError) as error:
            raise self._misshapen(path) from error


def _check(texts: Sequence[str]) -> None:
    if len(texts) > _MAX_INPUTS:
        raise UserFault(f"At most {_MAX_INPUTS} texts fit into one call.", hint="Send them in parts.")
