"""Words of large collections beside a SQLite record: tantivy, fed from a journal that the record's transactions keep.

FTS5 weighs every row that holds a word of the question; from some 50,000 passages on that takes longer than all the
rest of a search. A tantivy index is not part of a SQLite transaction, so a transaction only notes which rows it
changed. `settle` brings those up to date and strikes the notes: killed in between, it does the same once more. It is
called before every search, so what was acknowledged is found. The filter by access sets is part of the query, and every
candidate is checked again in the record.

Locks are taken in one order: the turn of this index, then the record's turn to write. A transaction never waits for
this index's turn.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import structlog
import tantivy
from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection
from tantivy import Occur, Query

from knowledge.index.lexical import MAX_TERMS, LexicalScope
from knowledge.index.words import indexed_stems, query_stems, query_substrings, triples_of, triples_within
from knowledge.store.database import Database, batches

T = TypeVar("T")

_log = structlog.get_logger(__name__)
_JOURNAL = (
    "CREATE TABLE IF NOT EXISTS knowledge_word_journal (id INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL)"
)
_LIVE = "FROM knowledge_chunk c JOIN knowledge_document d ON d.document_id = c.document_id WHERE c.state = 'live'"
_LABELS = f"SELECT c.chunk_id, d.aclset {_LIVE}"
_ROWS = f"SELECT c.seq, c.chunk_id, c.document_id, d.aclset, c.title, c.heading, c.body {_LIVE}"
_SOME_ROWS = text(f"{_ROWS} AND c.seq IN :seqs").bindparams(bindparam("seqs", expanding=True))
_NEXT_ROWS = text(f"{_ROWS} AND c.seq > :last ORDER BY c.seq LIMIT :many")
_NOTES = text("SELECT id, seq FROM knowledge_word_journal ORDER BY id LIMIT :many")
_STRIKE = text("DELETE FROM knowledge_word_journal WHERE id <= :last")
_HEAP_BYTES = 64_000_000
_GROUP = 2_000  # noted rows after which a write settles without waiting for a search
_STEMS, _TRIPLES = "stems", "triples"


@dataclass(frozen=True)
class _Noted:
    """A part of the journal: how far it goes, how many notes, which rows, and what of them is live now."""

    last: int
    notes: int
    rows: list[int]
    fresh: list[Any]


class TantivyLexicalIndex:
    """An index in a folder of its own; one process writes it, as it writes the record."""

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database
        self._schema = _schema()
        self._index: tantivy.Index | None = None
        self._writer: tantivy.IndexWriter | None = None
        self._turn = asyncio.Lock()
        self._opening = Lock()
        self._writing = Lock()  # a thread whose task was cancelled goes on: nothing may take its writer away
        self._noted = _GROUP  # a process before this one may have left some

    async def create(self, connection: AsyncConnection) -> None:
        """Make the journal; the index is made with its first row."""
        await connection.exec_driver_sql(_JOURNAL)

    async def add(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Note rows to be brought up to date."""
        await self._note(connection, rows)

    async def remove(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Note rows to be brought up to date; those that are gone by then are forgotten."""
        await self._note(connection, rows)

    async def relabel(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Note rows whose access set is another one now."""
        await self._note(connection, rows)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The turn to change the index."""
        async with self._turn:
            yield

    async def settle(self, *, at_least: int = 0) -> None:
        """Bring the noted rows up to date, where about so many are noted."""
        if self._noted >= at_least:
            async with self._turn:
                while await self._settle_some():
                    pass

    async def after_write(self) -> None:
        """Without a search, notes are settled in groups."""
        await self.settle(at_least=_GROUP)

    async def search(
        self, connection: AsyncConnection, query: str, scope: LexicalScope, limit: int
    ) -> list[tuple[str, float]]:
        """BM25 over title, heading and body as one text."""
        wanted = self._words(query) if scope.stems else self._substrings(query)
        if not wanted or not scope.sets:
            return []
        visible = [_among(self._schema, "aclset", scope.sets)]
        if scope.documents is not None:
            visible.append(_among(self._schema, "document_id", scope.documents))
        whole = Query.boolean_query([(Occur.Must, _any_of(wanted)), *((Occur.Must, part) for part in visible)])

        def work(searcher: tantivy.Searcher) -> list[tuple[str, float]]:
            hits: Any = searcher.search(whole, limit, count=False).hits
            return [(searcher.doc(place)["chunk_id"][0], float(score)) for score, place in hits]

        return await self._ask(work)

    async def frequencies(self, connection: AsyncConnection, stems: Sequence[str]) -> dict[str, int]:
        """From the index's dictionary; rows that were replaced count until their segment is merged."""

        def work(searcher: tantivy.Searcher) -> dict[str, int]:
            counts = {name: searcher.doc_freq(_STEMS, name) for name in stems}
            return {name: count for name, count in counts.items() if count}

        return await self._ask(work)

    async def rebuild(self, connection: AsyncConnection) -> None:
        """Make the index again from the record; within `turn`."""
        await self.create(connection)
        await self._refill(connection)
        await connection.exec_driver_sql("DELETE FROM knowledge_word_journal")

    async def build(self) -> None:
        """Make the index from the record while others write it; what they change is noted and settled later."""
        async with self._turn, self._database.read() as connection:
            await self._refill(connection)

    async def intact(self, connection: AsyncConnection) -> bool:
        """Whether the same rows are indexed under the same access sets: compared by count and by sums over both.

        Within `turn` and a write transaction: what is noted is taken in first, and nothing can be noted meanwhile.
        """
        while (part := await self._read_noted(connection)).notes:
            await asyncio.to_thread(self._replace, part.rows, part.fresh)
            await connection.execute(_STRIKE, {"last": part.last})
        rows = (await connection.exec_driver_sql(_LABELS)).all()
        expected = len(rows), sum(_mark(row.chunk_id) for row in rows), sum(row.aclset for row in rows)

        def work(searcher: tantivy.Searcher) -> tuple[int, int, int]:
            sums: Any = {"marks": {"sum": {"field": "mark"}}, "sets": {"sum": {"field": "aclset"}}}
            found: Any = searcher.aggregate(Query.all_query(), sums)
            return searcher.num_docs, int(found["marks"]["value"] or 0), int(found["sets"]["value"] or 0)

        return await self._ask(work) == expected

    async def rows(self, connection: AsyncConnection) -> int:
        """Documents of the index."""
        return await self._ask(lambda searcher: int(searcher.num_docs))

    async def close(self) -> None:
        """Finish what is being merged and let go of the folder."""
        await asyncio.to_thread(self._let_go)

    async def _note(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        if rows:
            statement = text("INSERT INTO knowledge_word_journal (seq) VALUES (:seq)")
            await connection.execute(statement, [{"seq": row} for row in rows])
            self._noted += len(rows)

    async def _settle_some(self) -> bool:
        """A part of the journal; False when that was the last."""
        async with self._database.read() as connection:
            part = await self._read_noted(connection)
        if not part.notes:
            return False
        await asyncio.to_thread(self._replace, part.rows, part.fresh)
        async with self._database.write() as connection:
            await connection.execute(_STRIKE, {"last": part.last})
        return part.notes == _GROUP

    async def _read_noted(self, connection: AsyncConnection) -> _Noted:
        notes = (await connection.execute(_NOTES, {"many": _GROUP})).all()
        rows = sorted({note.seq for note in notes})
        fresh: list[Any] = []
        for part in batches(rows):
            fresh += (await connection.execute(_SOME_ROWS, {"seqs": part})).all()
        self._noted = 0
        return _Noted(notes[-1].id if notes else 0, len(notes), rows, fresh)

    async def _refill(self, connection: AsyncConnection) -> None:
        await asyncio.to_thread(self._empty)
        last = 0
        while rows := (await connection.execute(_NEXT_ROWS, {"last": last, "many": _GROUP})).all():
            await asyncio.to_thread(self._replace, [], rows)
            last = rows[-1].seq

    async def _ask(self, work: Callable[[tantivy.Searcher], T]) -> T:
        return await asyncio.to_thread(lambda: work(self._opened().searcher()))

    def _replace(self, gone: Sequence[int], fresh: Sequence[Any]) -> None:
        def work(writer: tantivy.IndexWriter) -> None:
            if gone:
                writer.delete_documents_by_query(Query.term_set_query(self._schema, "seq", list(gone)))
            for row in fresh:
                writer.add_document(_document(row))

        self._write(work)

    def _empty(self) -> None:
        self._write(lambda writer: writer.delete_all_documents())

    def _write(self, work: Callable[[tantivy.IndexWriter], Any]) -> None:
        with self._writing:
            index = self._opened()
            if self._writer is None:
                self._writer = index.writer(heap_size=_HEAP_BYTES, num_threads=1)
            work(self._writer)
            self._writer.commit()
            index.reload()

    def _let_go(self) -> None:
        with self._writing:
            writer, self._writer, self._index = self._writer, None, None
            if writer is not None:
                writer.wait_merging_threads()

    def _opened(self) -> tantivy.Index:
        with self._opening:
            if self._index is None:
                self._index = _open(self._folder, self._schema)
            return self._index

    def _words(self, query: str) -> list[Query]:
        return [self._term(_STEMS, name) for name in query_stems(query, MAX_TERMS)]

    def _substrings(self, query: str) -> list[Query]:
        parts = [triples_within(term) for term in query_substrings(query, 2 * MAX_TERMS)]
        single = [self._term(_TRIPLES, part[0]) for part in parts if len(part) == 1]
        return single + [Query.phrase_query(self._schema, _TRIPLES, [*part]) for part in parts if len(part) > 1]

    def _term(self, field: str, value: str) -> Query:
        return Query.term_query(self._schema, field, value, index_option="freq")


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("seq", indexed=True)
    builder.add_unsigned_field("mark", fast=True)
    builder.add_unsigned_field("aclset", indexed=True, fast=True)
    builder.add_text_field("chunk_id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("document_id", fast=True, tokenizer_name="raw", index_option="basic")
    # Made by our code, the same stems as in the other databases; here they are only told apart.
    builder.add_text_field(_STEMS, tokenizer_name="ready", index_option="freq")
    builder.add_text_field(_TRIPLES, tokenizer_name="ready", index_option="position")
    return builder.build()


def _open(folder: Path, schema: tantivy.Schema) -> tantivy.Index:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        index = tantivy.Index(schema, path=str(folder))
    except ValueError as error:  # damaged, or of another version: the record has all that was in it
        _log.error("knowledge_words_damaged", error=str(error))
        shutil.rmtree(folder)
        folder.mkdir()
        index = tantivy.Index(schema, path=str(folder))
    index.register_tokenizer("ready", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    return index


def _document(row: Any) -> tantivy.Document:
    whole = f"{row.title}\n{row.heading}\n{row.body}"
    document = tantivy.Document()
    document.add_unsigned("seq", row.seq)
    document.add_unsigned("mark", _mark(row.chunk_id))
    document.add_unsigned("aclset", row.aclset)
    document.add_text("chunk_id", row.chunk_id)
    document.add_text("document_id", row.document_id)
    document.add_text(_STEMS, " ".join(indexed_stems(whole)))
    document.add_text(_TRIPLES, " ".join(triples_of(whole)))
    return document


def _mark(chunk_id: str) -> int:
    return int(chunk_id[:7], 16)  # sums of a million stay exact in the float that comes back


def _any_of(queries: Sequence[Query]) -> Query:
    return Query.boolean_query([(Occur.Should, query) for query in queries])


def _among(schema: tantivy.Schema, field: str, values: Sequence[Any]) -> Query:
    return Query.const_score_query(Query.term_set_query(schema, field, list(values)), 0.0)
