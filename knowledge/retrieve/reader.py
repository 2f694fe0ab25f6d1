"""Reading on: a document's text around a place, and what there is to read at all."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, literal, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.contracts import Chunk, StoredDocument
from knowledge.retrieve.candidates import Candidate, checked, neighbours
from knowledge.schema import chunk, document, document_text, ingest_job
from knowledge.store.access import Groups, rules_of, visible_sets
from knowledge.store.database import Database
from knowledge.store.rows import read_document, run_key
from signalbox.errors import NotFound
from signalbox.identity import Principal

_MAX_CHARACTERS = 2**31 - 2  # of a text in any database
_NAME = re.compile(r"[0-9a-f]{8,32}")


@dataclass(frozen=True)
class Window:
    """A piece of a document's text with where it stands."""

    document: StoredDocument
    text: str
    start: int
    end: int
    length: int


@dataclass(frozen=True)
class SourceSummary:
    """A source as one principal sees it."""

    name: str
    documents: int
    latest: str | None
    media_types: dict[str, int]
    ingested_at: float | None


class Reader:
    """Everything that is read by id or listed, under the same access check as a search."""

    def __init__(self, database: Database, groups: Groups) -> None:
        self._database = database
        self._groups = groups

    async def window(self, principal: Principal, document_id: str, start: int, length: int) -> Window:
        """Text of a document from `start`; `NotFound` when it is not there or not the principal's to see."""
        async with self._database.read() as connection:
            found = await self._document(connection, principal, document_id)
            whole = document_text.c.text
            begin = max(0, min(start, _MAX_CHARACTERS))
            piece = select(func.length(whole), func.substr(whole, begin + 1, length))
            total, text = (await connection.execute(piece.where(document_text.c.document_id == document_id))).one()
        begin = min(begin, total)
        return Window(found, text, begin, begin + len(text), total)

    async def document(self, principal: Principal, document_id: str) -> StoredDocument:
        """A document's description."""
        async with self._database.read() as connection:
            return await self._document(connection, principal, document_id)

    async def passage(self, principal: Principal, name: str, around: int = 0) -> list[Candidate]:
        """A passage with its neighbours, in order; named by its id or by the start of it."""
        async with self._database.read() as connection:
            sets = await self._sets(connection, principal)
            ids = await self._starting_with(connection, name)
            found = await checked(connection, ids, sets)
            if len(found) != 1:
                raise NotFound(f"Passage {name!r} does not exist.", hint="Search again: the document may have changed.")
            return await neighbours(connection, next(iter(found.values())), around, sets)

    async def passages(self, principal: Principal, document_id: str, start: int, end: int) -> list[Candidate]:
        """The passages of a document that touch a range of its text, in order."""
        async with self._database.read() as connection:
            sets = await self._sets(connection, principal)
            # Told apart in the database: a long document has thousands of passages, a window touches a few.
            first, last = chunk.c.record["start"].as_integer(), chunk.c.record["end"].as_integer()
            touching = select(chunk.c.chunk_id).where(chunk.c.document_id == document_id, first < end, last > start)
            found = await checked(connection, (await connection.execute(touching)).scalars().all(), sets)
        return sorted(found.values(), key=lambda item: item.chunk.ordinal)

    async def resolve(self, principal: Principal, name: str) -> str:
        """The id of a visible document given by its id or its path."""
        async with self._database.read() as connection:
            sets = await self._sets(connection, principal)
            named = (document.c.document_id == name) | (document.c.document == name)
            query = select(document.c.document_id).where(
                named, document.c.aclset.in_(sets), document.c.state == "indexed"
            )
            found = (await connection.execute(query.limit(1))).scalar()
        if found is None:
            raise NotFound(f"Document {name!r} does not exist.", hint="Search for it: it may have moved.")
        return found

    async def verbatim(self, chunks: Sequence[Chunk]) -> set[str]:
        """Ids of the passages whose text stands at their offsets in the record, character for character."""
        if not chunks:
            return set()
        pieces = [
            select(
                literal(item.chunk_id).label("chunk_id"),
                func.substr(document_text.c.text, item.start + 1, item.end - item.start).label("piece"),
            ).where(document_text.c.document_id == item.document_id)
            for item in chunks
        ]
        async with self._database.read() as connection:
            rows = {row.chunk_id: row.piece for row in await connection.execute(union_all(*pieces))}
        return {item.chunk_id for item in chunks if rows.get(item.chunk_id) == item.text}

    async def sources(self, principal: Principal) -> list[SourceSummary]:
        """Sources that hold something for this principal; what it may not see is not counted."""
        async with self._database.read() as connection:
            sets = await self._sets(connection, principal)
            columns = (document.c.source, document.c.media_type, func.count(), func.max(document.c.modified))
            query = (
                select(*columns)
                .where(document.c.aclset.in_(sets), document.c.state == "indexed")
                .group_by(document.c.source, document.c.media_type)
                .order_by(document.c.source, document.c.media_type)
            )
            rows: list[Any] = [tuple(row) for row in await connection.execute(query)]
            jobs = await connection.execute(
                select(ingest_job.c.source, func.max(ingest_job.c.finished_at)).group_by(ingest_job.c.source)
            )
            finished: dict[str, float] = {row[0]: row[1] for row in jobs}
        return [
            _summary(name, [row for row in rows if row[0] == name], finished.get(run_key(principal.tenant, name)))
            for name in dict.fromkeys(r[0] for r in rows)
        ]

    async def documents(
        self, principal: Principal, source: str, limit: int, after: tuple[str, str] = ("", "")
    ) -> list[StoredDocument]:
        """Documents of a source by path and id, those after `after`; an empty source name means all."""
        async with self._database.read() as connection:
            sets = await self._sets(connection, principal)
            query = (
                select(document.c.aclset, document.c.record)
                .where(document.c.aclset.in_(sets), document.c.state == "indexed")
                .where(tuple_(document.c.document, document.c.document_id) > tuple_(*map(literal, after)))
                .order_by(document.c.document, document.c.document_id)
                .limit(limit)
            )
            if source:
                query = query.where(document.c.source == source)
            rows = (await connection.execute(query)).all()
            rules = await rules_of(connection, {row.aclset for row in rows})
        return [read_document(row.record, rules[row.aclset]) for row in rows]

    async def _document(self, connection: AsyncConnection, principal: Principal, document_id: str) -> StoredDocument:
        sets = await self._sets(connection, principal)
        query = select(document.c.aclset, document.c.record).where(
            document.c.document_id == document_id, document.c.aclset.in_(sets), document.c.state == "indexed"
        )
        row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"Document {document_id!r} does not exist.", hint="Search for it: it may have moved.")
        rules = await rules_of(connection, [row.aclset])
        return read_document(row.record, rules[row.aclset])

    async def _starting_with(self, connection: AsyncConnection, name: str) -> list[str]:
        if not _NAME.fullmatch(name):
            return []
        query = select(chunk.c.chunk_id).where(chunk.c.chunk_id.between(name, name + "g")).limit(20)
        return list((await connection.execute(query)).scalars())

    async def _sets(self, connection: AsyncConnection, principal: Principal) -> list[int]:
        return await visible_sets(connection, principal.tenant, self._groups.subjects(principal))


def _summary(name: str, rows: Sequence[tuple[Any, ...]], finished: float | None) -> SourceSummary:
    latest = max((row[3] for row in rows if row[3]), default=None)
    return SourceSummary(name, sum(row[2] for row in rows), latest, {row[1]: row[2] for row in rows}, finished)
