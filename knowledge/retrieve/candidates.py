"""The record's side of a search: what the asker may see, and every candidate read back and checked again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.contracts import Chunk, Filters, StoredDocument
from knowledge.embed.passages import PassageText
from knowledge.schema import chunk, document, facet
from knowledge.store.access import rules_of
from knowledge.store.database import batches
from knowledge.store.rows import instant, read_chunk, read_document

_UNFILTERED = Filters()


@dataclass(frozen=True)
class Candidate:
    """A passage that the asker may see now."""

    chunk: Chunk
    document: StoredDocument
    passage: PassageText


async def documents_within(connection: AsyncConnection, sets: Sequence[int], filters: Filters) -> list[str] | None:
    """Ids of the visible documents that a filter leaves, or None when nothing is filtered."""
    if filters == _UNFILTERED:
        return None
    query = select(document.c.document_id).where(document.c.aclset.in_(sets), document.c.state == "indexed")
    rows = await connection.execute(query.where(*_conditions(filters)))
    return [str(name) for name in rows.scalars()]


def _conditions(filters: Filters) -> Iterator[ColumnElement[bool]]:
    """What a document must be to pass."""
    if filters.sources:
        yield document.c.source.in_(filters.sources)
    if filters.media_types:
        yield document.c.media_type.in_(filters.media_types)
    if filters.documents:
        yield document.c.document.in_(filters.documents) | document.c.document_id.in_(filters.documents)
    if filters.modified_after:
        yield document.c.modified >= instant(filters.modified_after)
    if filters.modified_before:
        yield document.c.modified < instant(filters.modified_before)
    for kind, values in (("tag", filters.tags), ("author", filters.authors)):
        if values:
            named = (facet.c.document_id == document.c.document_id) & (facet.c.kind == kind)
            yield exists().where(named & func.lower(facet.c.value).in_([v.lower() for v in values]))


_COLUMNS = (
    chunk.c.chunk_id,
    chunk.c.title,
    chunk.c.heading,
    chunk.c.body,
    chunk.c.input_sha,
    chunk.c.record.label("chunk_record"),
    document.c.aclset,
    document.c.record.label("document_record"),
)


async def checked(
    connection: AsyncConnection, ids: Iterable[str], sets: Sequence[int], filters: Filters = _UNFILTERED
) -> dict[str, Candidate]:
    """The candidates that stand in the record, live, under an access set that is visible at this moment.

    This is the second check of every candidate: an index that lags behind the record can neither leak nor offer what
    a filter leaves out.
    """
    if not sets:
        return {}
    rows: list[Any] = []
    for part in batches(ids):
        query = (
            select(*_COLUMNS)
            .join(document, document.c.document_id == chunk.c.document_id)
            .where(chunk.c.chunk_id.in_(part), chunk.c.state == "live", document.c.state == "indexed")
            .where(document.c.aclset.in_(sets), *_conditions(filters))
        )
        rows.extend(await connection.execute(query))
    return await as_candidates(connection, rows)


async def as_candidates(connection: AsyncConnection, rows: Sequence[Any]) -> dict[str, Candidate]:
    """Models of rows with `_COLUMNS`; a document is read once, however many of its passages are there."""
    rules = await rules_of(connection, {row.aclset for row in rows})
    documents: dict[str, StoredDocument] = {}
    found: dict[str, Candidate] = {}
    for row in rows:
        key = row.document_record["document_id"]
        if key not in documents:
            documents[key] = read_document(row.document_record, rules[row.aclset])
        passage = PassageText(title=row.title, heading=row.heading, body=row.body, key=row.input_sha)
        found[row.chunk_id] = Candidate(read_chunk(row.chunk_record, row.body), documents[key], passage)
    return found


async def neighbours(
    connection: AsyncConnection, candidate: Candidate, around: int, sets: Sequence[int]
) -> list[Candidate]:
    """The passages before and after one in its document, itself included, in order."""
    near = chunk.c.ordinal.between(candidate.chunk.ordinal - around, candidate.chunk.ordinal + around)
    query = (
        select(*_COLUMNS)
        .join(document, document.c.document_id == chunk.c.document_id)
        .where(chunk.c.document_id == candidate.chunk.document_id, near, chunk.c.state == "live")
        .where(document.c.aclset.in_(sets), document.c.state == "indexed")
        .order_by(chunk.c.ordinal)
    )
    return list((await as_candidates(connection, list(await connection.execute(query)))).values())
