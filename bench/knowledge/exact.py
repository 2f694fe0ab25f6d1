"""What a search without a graph would find: every vector compared."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from knowledge.contracts import Embedder
from knowledge.schema import chunk, document, embedding
from knowledge.service import KnowledgeService
from knowledge.store.access import visible_sets
from signalbox.identity import Principal


class Exact:
    """All vectors of a service in memory, and Chroma's answers measured against them."""

    def __init__(self, service: KnowledgeService, embedder: Embedder, rows: Sequence[tuple[str, int, bytes]]) -> None:
        self._service = service
        self._embedder = embedder
        self._names = [name for name, _, _ in rows]
        self._sets = np.array([number for _, number, _ in rows])
        self._vectors: NDArray[np.float32] = np.stack([np.frombuffer(vector, np.float32) for _, _, vector in rows])
        self.sets_seen = 0.0
        self.share_seen = 0.0

    @classmethod
    async def read(cls, service: KnowledgeService, embedder: Embedder) -> "Exact":
        """Every passage's vector with the access set of its document."""
        query = (
            select(chunk.c.chunk_id, document.c.aclset, embedding.c.vector)
            .join(document, document.c.document_id == chunk.c.document_id)
            .join(embedding, embedding.c.input_sha == chunk.c.input_sha)
        )
        async with service._database.read() as connection:
            return cls(service, embedder, [tuple(row) for row in await connection.execute(query)])

    async def recalls(self, people: Sequence[Principal], questions: Sequence[str]) -> tuple[float, float]:
        """Mean recall@10 and recall@100 of the dense index under each person's access sets."""
        async with self._service._database.read() as connection:
            seen = [await visible_sets(connection, person.tenant, person.subjects) for person in people]
            alias = await self._service._aliases.find(connection, people[0].tenant)
        assert alias is not None
        self.sets_seen = float(np.mean([len(sets) for sets in seen]))
        self.share_seen = float(np.mean([np.isin(self._sets, sets).mean() for sets in seen]))
        tens, hundreds = [], []
        for number, question in enumerate(questions):
            sets = seen[number % len(people)]
            vector = (await self._embedder.embed([question]))[0]
            scores = np.where(np.isin(self._sets, sets), self._vectors @ vector, -2)
            best = [self._names[at] for at in np.argsort(-scores, kind="stable")[:100] if scores[at] > -2]
            if best:
                found = [name for name, _ in await self._service._dense.query(alias.current, vector, sets, None, 100)]
                tens.append(len(set(best[:10]) & set(found[:10])) / len(best[:10]))
                hundreds.append(len(set(best) & set(found)) / len(best))
        return float(np.mean(tens)), float(np.mean(hundreds))
