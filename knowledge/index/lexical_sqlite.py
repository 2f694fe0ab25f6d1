"""Words beside a SQLite record: FTS5 tables of stems and of letter triples, kept in the record's own transactions."""

import json
from collections.abc import Sequence

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.index.lexical import MAX_TERMS, InTransaction, LexicalScope
from knowledge.index.words import content_words, query_substrings

_SCHEMA = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS knowledge_stems USING fts5(title, heading, body, "
    "content='knowledge_chunk', content_rowid='seq', tokenize='porter unicode61 remove_diacritics 2')",
    "CREATE VIRTUAL TABLE IF NOT EXISTS knowledge_triples USING fts5(title, heading, body, "
    "content='knowledge_chunk', content_rowid='seq', tokenize='trigram')",
    "CREATE VIRTUAL TABLE IF NOT EXISTS knowledge_stem_counts USING fts5vocab('knowledge_stems', 'row')",
)
_TABLES = ("knowledge_stems", "knowledge_triples")
_WEIGHTS = "1.0, 1.0, 1.0"  # title, heading, body


class SqliteLexicalIndex(InTransaction):
    """FTS5 over the chunk table: English stems for English questions, letter triples for all other languages."""

    async def create(self, connection: AsyncConnection) -> None:
        """Make the virtual tables."""
        for statement in _SCHEMA:
            await connection.exec_driver_sql(statement)

    async def add(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Index rows in both tables."""
        for table in _TABLES:
            statement = text(
                f"INSERT INTO {table}(rowid, title, heading, body) "  # noqa: S608 - a constant of ours
                "SELECT seq, title, heading, body FROM knowledge_chunk WHERE seq IN :rows"
            ).bindparams(bindparam("rows", expanding=True))
            await connection.execute(statement, {"rows": list(rows)})

    async def remove(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Forget rows in both tables; FTS5 needs the old values to find their terms."""
        for table in _TABLES:
            statement = text(
                f"INSERT INTO {table}({table}, rowid, title, heading, body) "  # noqa: S608 - a constant of ours
                "SELECT 'delete', seq, title, heading, body FROM knowledge_chunk WHERE seq IN :rows"
            ).bindparams(bindparam("rows", expanding=True))
            await connection.execute(statement, {"rows": list(rows)})

    async def search(
        self, connection: AsyncConnection, query: str, scope: LexicalScope, limit: int
    ) -> list[tuple[str, float]]:
        """BM25 over title, heading and body."""
        table = "knowledge_stems" if scope.stems else "knowledge_triples"
        match = stem_expression(query) if scope.stems else triple_expression(query)
        if not match or not scope.sets:
            return []
        # One parameter, however many there are: SQLite may be built to take no more than 32,766.
        documents = "" if scope.documents is None else "AND d.document_id IN (SELECT value FROM json_each(:documents)) "
        values: dict[str, object] = {"match": match, "sets": scope.sets, "limit": limit}
        if scope.documents is not None:
            values["documents"] = json.dumps(scope.documents)
        statement = text(
            f"SELECT c.chunk_id, -bm25({table}, {_WEIGHTS}) AS score FROM {table} "  # noqa: S608 - constants of ours
            f"JOIN knowledge_chunk c ON c.seq = {table}.rowid "
            "JOIN knowledge_document d ON d.document_id = c.document_id "
            f"WHERE {table} MATCH :match AND d.aclset IN :sets {documents}ORDER BY score DESC LIMIT :limit"
        ).bindparams(bindparam("sets", expanding=True))
        rows = await connection.execute(statement, values)
        return [(row.chunk_id, float(row.score)) for row in rows]

    async def frequencies(self, connection: AsyncConnection, stems: Sequence[str]) -> dict[str, int]:
        """Read from the index's own vocabulary."""
        statement = text("SELECT term, doc FROM knowledge_stem_counts WHERE term IN :stems")
        rows = await connection.execute(
            statement.bindparams(bindparam("stems", expanding=True)), {"stems": list(stems)}
        )
        return {row.term: int(row.doc) for row in rows}

    async def rebuild(self, connection: AsyncConnection) -> None:
        """Drop both tables and index every live row."""
        for table in ("knowledge_stem_counts", *_TABLES):
            await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
        await self.create(connection)
        for table in _TABLES:
            await connection.exec_driver_sql(
                f"INSERT INTO {table}(rowid, title, heading, body) "  # noqa: S608 - a constant of ours
                "SELECT seq, title, heading, body FROM knowledge_chunk WHERE state = 'live'"
            )

    async def clear(self, connection: AsyncConnection) -> None:
        """Give the space back while another index serves; `rebuild` is the way back."""
        for table in _TABLES:
            await connection.exec_driver_sql(f"INSERT INTO {table}({table}) VALUES ('delete-all')")  # noqa: S608

    async def intact(self, connection: AsyncConnection) -> bool:
        """Whether as many rows are indexed as are live; they change in the same transactions."""
        live = await connection.execute(text("SELECT count(*) FROM knowledge_chunk WHERE state = 'live'"))
        return int(live.scalar_one()) == await self.rows(connection)

    async def rows(self, connection: AsyncConnection) -> int:
        """Rows of the stem index, as the index itself counts them."""
        result = await connection.exec_driver_sql("SELECT count(*) FROM knowledge_stems_docsize")
        return int(result.scalar_one())


def stem_expression(query: str) -> str:
    """An FTS5 expression: any of the query's words."""
    return " OR ".join(f'"{word}"' for word in content_words(query)[:MAX_TERMS])


def triple_expression(query: str) -> str:
    """An FTS5 expression for the triple index."""
    return " OR ".join(f'"{term}"' for term in query_substrings(query, 2 * MAX_TERMS))
