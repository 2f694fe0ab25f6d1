"""The embedding cache: a text is embedded once, whatever becomes of the indexes."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from sqlalchemy import delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.contracts import Embedder
from knowledge.embed.passages import Floats, PassageText, PassageVectors, embed_passages
from knowledge.ingest.contracts import OnStep
from knowledge.schema import chunk, embedding
from knowledge.store.database import Database, batches

_FIRST = 40  # passages that tell what a document is about, however long it is


class VectorCache:
    """Vectors by (model, hash of what was embedded)."""

    def __init__(self, database: Database, embedder: Embedder) -> None:
        self._database = database
        self._embedder = embedder

    @property
    def model(self) -> str:
        """Name under which vectors are kept."""
        return self._embedder.name

    async def of(self, passages: Sequence[PassageText], on_step: OnStep | None = None) -> dict[str, PassageVectors]:
        """Vectors by hash; what is not cached is embedded and cached, a batch a step."""
        wanted = {passage.sha: passage for passage in passages}
        async with self._database.read() as connection:
            found = await self.load(connection, wanted)
        fresh = [passage for sha, passage in wanted.items() if sha not in found]
        for part in batches(fresh, 256):
            made = await embed_passages(self._embedder, part)
            rows = {passage.sha: vectors for passage, vectors in zip(part, made, strict=True)}
            async with self._database.write() as connection:
                await self._save(connection, rows)
            found.update(rows)
            if on_step:
                on_step()
        return found

    async def load(self, connection: AsyncConnection, shas: Iterable[str]) -> dict[str, PassageVectors]:
        """Cached vectors; hashes that are unknown are left out."""
        found: dict[str, PassageVectors] = {}
        for part in batches(shas):
            query = select(embedding).where(embedding.c.model == self.model, embedding.c.input_sha.in_(part))
            for row in await connection.execute(query):
                found[row.input_sha] = self._vectors(row.vector, row.sentences)
        return found

    async def meanings(self, connection: AsyncConnection, documents: Sequence[str]) -> dict[str, Floats]:
        """Where documents point as a whole: the mean of their first passages, as a unit vector."""
        # Two questions: asked as one join without statistics, SQLite goes through every vector that there is.
        holders: dict[str, list[str]] = {}
        for part in batches(documents):
            chunks = select(chunk.c.document_id, chunk.c.input_sha).where(
                chunk.c.document_id.in_(part), chunk.c.ordinal < _FIRST, chunk.c.state == "live"
            )
            for row in await connection.execute(chunks):
                holders.setdefault(row.input_sha, []).append(row.document_id)
        held: dict[str, list[bytes]] = {}
        for part in batches(list(holders)):
            vectors = select(embedding.c.input_sha, embedding.c.vector).where(
                embedding.c.model == self.model, embedding.c.input_sha.in_(part)
            )
            for row in await connection.execute(vectors):
                for document in holders[row.input_sha]:
                    held.setdefault(document, []).append(row.vector)
        return {name: self._mean(each) for name, each in held.items()}

    async def prune(self, connection: AsyncConnection, shas: Iterable[str]) -> None:
        """Forget vectors, of any model, whose text no chunk holds any more."""
        for part in batches(sorted(set(shas))):
            used = exists().where(chunk.c.input_sha == embedding.c.input_sha)
            await connection.execute(delete(embedding).where(embedding.c.input_sha.in_(part), ~used))

    async def _save(self, connection: AsyncConnection, rows: Mapping[str, PassageVectors]) -> None:
        values = [
            {
                "model": self.model,
                "input_sha": sha,
                "vector": vectors.vector.astype(np.float32).tobytes(),
                "sentences": vectors.sentences.tobytes(),
            }
            for sha, vectors in rows.items()
        ]
        insert = sqlite.insert if self._database.dialect == "sqlite" else postgresql.insert
        await connection.execute(insert(embedding).on_conflict_do_nothing(), values)

    def _mean(self, vectors: Sequence[bytes]) -> Floats:
        mean = np.frombuffer(b"".join(vectors), np.float32).reshape(-1, self._embedder.dimensions).mean(axis=0)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)

    def _vectors(self, vector: bytes, sentences: bytes) -> PassageVectors:
        width = self._embedder.dimensions
        return PassageVectors(
            vector=np.frombuffer(vector, np.float32),
            sentences=np.frombuffer(sentences, np.int8).reshape(-1, width),
        )
