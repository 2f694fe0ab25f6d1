"""Do the indexes still say what the record says? Compared, asked back, and mended from the embedding cache."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.embed.passages import PassageText
from knowledge.index.alias import Aliases
from knowledge.index.dense import DenseIndex, DenseRow
from knowledge.index.lexical import LexicalIndex
from knowledge.schema import chunk, document
from knowledge.store.database import Database, batches
from knowledge.store.vectors import VectorCache

_log = structlog.get_logger(__name__)
_TEXT = (chunk.c.title, chunk.c.heading, chunk.c.body, chunk.c.input_sha)


@dataclass(frozen=True)
class IntegrityReport:
    """What one check found, and mended."""

    passages: int = 0
    missing: int = 0
    orphaned: int = 0
    mislabelled: int = 0
    unreachable: int = 0
    words_rebuilt: bool = False
    seconds: float = 0.0

    @property
    def green(self) -> bool:
        """Whether nothing had to be mended."""
        return not (self.missing or self.orphaned or self.mislabelled or self.unreachable or self.words_rebuilt)


@dataclass(frozen=True)
class _Expected:
    chunk_id: str
    document_id: str
    aclset: int
    passage: PassageText


class IntegrityJob:
    """Compares record, Chroma and word index. Counts alone do not show loss, so a sample of vectors is asked back."""

    def __init__(
        self, database: Database, dense: DenseIndex, lexical: LexicalIndex, aliases: Aliases, cache: VectorCache
    ) -> None:
        self._database = database
        self._dense = dense
        self._lexical = lexical
        self._aliases = aliases
        self._cache = cache

    async def vectors(self, *, self_queries: int) -> IntegrityReport:
        """Check and mend every collection of vectors."""
        started = time.perf_counter()
        async with self._database.read() as connection:
            aliases = await self._aliases.all(connection)
        totals = [0, 0, 0, 0, 0]
        for alias in aliases:
            for collection in alias.fed_by(self._cache.model):
                counts = await self.mend(alias.tenant, collection, self_queries)
                totals = [total + count for total, count in zip(totals, counts, strict=True)]
        passages, missing, orphaned, mislabelled, unreachable = totals
        seconds = round(time.perf_counter() - started, 3)
        report = IntegrityReport(passages, missing, orphaned, mislabelled, unreachable, seconds=seconds)
        log = _log.info if report.green else _log.warning
        log("knowledge_integrity", green=report.green, **report.__dict__)
        return report

    async def words(self) -> bool:
        """Check the index of words, which needs no vector store; True when it had to be made again."""
        async with self._lexical.turn(), self._database.write() as connection:
            if await self._lexical.intact(connection):
                return False
            await self._lexical.rebuild(connection)
        _log.warning("knowledge_words_rebuilt")
        return True

    async def mend(self, tenant: str, collection: str, self_queries: int = 0) -> list[int]:
        """Make one collection hold what the record says; counts as in `IntegrityReport`."""
        there = await self._dense.labels(collection)
        # Read after the index and in one transaction: what was added meanwhile is in the record, live or waiting for
        # its transaction; in two, a passage that goes live between them would look like an orphan.
        async with self._database.read() as connection:
            expected = await self._expected(connection, tenant)
            pending = await connection.execute(select(chunk.c.chunk_id).where(chunk.c.state == "pending"))
            waiting = set(pending.scalars())
        missing = [row for name, row in expected.items() if name not in there]
        orphans = [name for name in there if name not in expected and name not in waiting]
        wrong = {name: row.aclset for name, row in expected.items() if name in there and there[name] != row.aclset}
        await self._dense.delete(collection, orphans)
        for aclset in set(wrong.values()):
            await self._dense.relabel(collection, [name for name, number in wrong.items() if number == aclset], aclset)
        await self._add(collection, missing)
        lost = await self._unreachable(collection, [expected[name] for name in there if name in expected], self_queries)
        return [len(expected), len(missing), len(orphans), len(wrong), lost]

    async def _expected(self, connection: AsyncConnection, tenant: str) -> dict[str, _Expected]:
        query = (
            select(*_TEXT, chunk.c.chunk_id, chunk.c.document_id, document.c.aclset)
            .join(document, document.c.document_id == chunk.c.document_id)
            .where(document.c.tenant == tenant, chunk.c.state == "live", chunk.c.dense == 1)
        )
        return {row.chunk_id: _expected(row) for row in await connection.execute(query)}

    async def _add(self, collection: str, rows: Sequence[_Expected]) -> None:
        for part in batches(rows):
            vectors = await self._cache.of([row.passage for row in part])
            dense = [
                DenseRow(row.chunk_id, row.document_id, row.aclset, vectors[row.passage.sha].vector)
                for row in part
                if row.passage.sha in vectors
            ]
            await self._dense.add(collection, dense)
            await self._dense.delete(collection, await self._gone([row.chunk_id for row in part]))

    async def _gone(self, names: Sequence[str]) -> list[str]:
        """Which of these were let go meanwhile: their writer forgot them in the index before they were added here."""
        query = select(chunk.c.chunk_id).where(chunk.c.chunk_id.in_(names), chunk.c.state == "live")
        async with self._database.read() as connection:
            there = set((await connection.execute(query)).scalars())
        return [name for name in names if name not in there]

    async def _unreachable(self, collection: str, rows: Sequence[_Expected], sample: int) -> int:
        """Ask a sample of vectors for themselves; a vector that does not come back is added anew."""
        if not rows or not sample:
            return 0
        step = max(1, len(rows) // sample)
        picked = list(rows[::step])[:sample]
        vectors = await self._cache.of([row.passage for row in picked])
        found = await self._dense.nearest(collection, np.stack([vectors[row.passage.sha].vector for row in picked]))
        lost = [
            row
            for row, name in zip(picked, found, strict=True)
            if name != row.chunk_id and not await self._same(name, row.passage)
        ]
        if lost:
            await self._dense.delete(collection, [row.chunk_id for row in lost])
            await self._add(collection, lost)
        return len(lost)

    async def _same(self, name: str, passage: PassageText) -> bool:
        """Passages with equal or nearly equal text are each other's nearest."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(*_TEXT).where(chunk.c.chunk_id == name))).first()
        if row is None:
            return False
        other = PassageText(row.title, row.heading, row.body, row.input_sha)
        vectors = await self._cache.of([passage, other])
        return float(np.dot(vectors[passage.sha].vector, vectors[other.sha].vector)) > 0.99


def _expected(row: Any) -> _Expected:
    passage = PassageText(row.title, row.heading, row.body, row.input_sha)
    return _Expected(row.chunk_id, row.document_id, row.aclset, passage)
