"""Words in a PostgreSQL record: stems as `tsvector`, letter triples by `pg_trgm`, kept in the record's transactions.

PostgreSQL finds rows by words but does not weigh words by how rare they are, so BM25 is computed here in SQL, from
the counts that the rows carry. Stems are made by the same code for both databases, so both rank alike.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.index.lexical import MAX_TERMS, InTransaction, LexicalScope
from knowledge.index.words import indexed_stems, query_stems, query_substrings
from knowledge.store.database import batches
from signalbox.errors import UserFault

_TABLES = (
    """CREATE TABLE IF NOT EXISTS knowledge_words (
        seq integer PRIMARY KEY,
        chunk_id varchar(32) NOT NULL,
        document_id varchar(32) NOT NULL,
        stems tsvector NOT NULL,
        words integer NOT NULL,
        folded text NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS knowledge_words_stems ON knowledge_words USING gin (stems)",
    "CREATE INDEX IF NOT EXISTS knowledge_words_folded ON knowledge_words USING gin (folded gin_trgm_ops)",
    "CREATE INDEX IF NOT EXISTS knowledge_words_document ON knowledge_words (document_id)",
    'CREATE TABLE IF NOT EXISTS knowledge_stem_count (stem text COLLATE "C" PRIMARY KEY, held integer NOT NULL)',
    """CREATE TABLE IF NOT EXISTS knowledge_word_total (
        id integer PRIMARY KEY, held bigint NOT NULL, words bigint NOT NULL, characters bigint NOT NULL)""",
    "INSERT INTO knowledge_word_total VALUES (1, 0, 0, 0) ON CONFLICT DO NOTHING",
)
_INSERT = text(
    "INSERT INTO knowledge_words (seq, chunk_id, document_id, stems, words, folded) "
    "VALUES (:seq, :chunk_id, :document_id, CAST(:stems AS tsvector), :words, :folded)"
)
# In the order of the stems, so that two writers cannot wait for each other.
_COUNT = text(
    "INSERT INTO knowledge_stem_count (stem, held) "
    "SELECT s, count(*) FROM knowledge_words, unnest(tsvector_to_array(stems)) AS s WHERE seq = ANY(:rows) "
    "GROUP BY s ORDER BY s ON CONFLICT (stem) DO UPDATE SET held = knowledge_stem_count.held + excluded.held"
)
_DISCOUNT = text(
    "UPDATE knowledge_stem_count SET held = held - gone.times FROM ("
    "SELECT s, count(*) AS times FROM knowledge_words, unnest(tsvector_to_array(stems)) AS s "
    "WHERE seq = ANY(:rows) GROUP BY s) AS gone WHERE stem = gone.s"
)
_TOTAL = (
    "UPDATE knowledge_word_total AS t SET held = t.held {sign} part.held, words = t.words {sign} part.words, "
    "characters = t.characters {sign} part.characters FROM (SELECT count(*) AS held, coalesce(sum(words), 0) AS words, "
    "coalesce(sum(char_length(folded)), 0) AS characters FROM knowledge_words WHERE seq = ANY(:rows)) AS part"
)
_SATURATION, _LENGTH = 1.2, 0.75  # BM25's k1 and b, as FTS5 has them
_LEAST = 1e-6  # weight of a word that most rows hold, as FTS5 has it
_DRIVING = 20_000
"""Rows that are looked at for one question at most: its rarest words choose them, all of its words order them."""
_WEIGHED = 2_000
"""Those of them that are weighed by how often words occur: the ones whose words, counted once, weigh most."""

_FOUND = (
    "WITH found AS MATERIALIZED (SELECT w.chunk_id, w.stems, w.words, w.folded FROM knowledge_words w "
    "JOIN knowledge_document d ON d.document_id = w.document_id WHERE {matches} "
    "AND d.aclset = ANY(:sets){documents} LIMIT :driving) "
)
_BY_STEMS = (
    ", likely AS MATERIALIZED (SELECT f.chunk_id, f.stems, f.words FROM found f ORDER BY (SELECT sum(q.weight) FROM "
    "unnest(CAST(CAST(:queries AS text[]) AS tsquery[]), CAST(:weights AS float8[])) AS q(query, weight) "
    "WHERE f.stems @@ q.query) DESC, f.chunk_id LIMIT :weighed) "
    "SELECT f.chunk_id, sum(q.weight * cardinality(u.positions) * {k1} / "
    "(cardinality(u.positions) + {k} * ({b0} + {b} * f.words / CAST(:mean AS float8)))) AS score "
    "FROM likely f CROSS JOIN LATERAL unnest(f.stems) AS u(lexeme, positions, weights) "
    "JOIN unnest(CAST(:terms AS text[]), CAST(:weights AS float8[])) AS q(term, weight) ON q.term = u.lexeme "
    "GROUP BY f.chunk_id ORDER BY score DESC, f.chunk_id LIMIT :limit"
)
_BY_SUBSTRINGS = (
    ", held AS MATERIALIZED (SELECT f.chunk_id, q.term, char_length(f.folded) AS length, "
    "(char_length(f.folded) - char_length(replace(f.folded, q.term, ''))) / CAST(char_length(q.term) AS float8) "
    "AS times FROM found f CROSS JOIN unnest(CAST(:terms AS text[])) AS q(term)), "
    "rare AS (SELECT term, greatest({least}, ln((greatest(:rows, count(*)) - count(*) + 0.5) / (count(*) + 0.5))) "
    "AS weight FROM held WHERE times > 0 GROUP BY term) "
    "SELECT h.chunk_id, sum(r.weight * h.times * {k1} / "
    "(h.times + {k} * ({b0} + {b} * h.length / CAST(:mean AS float8)))) AS score "
    "FROM held h JOIN rare r ON r.term = h.term WHERE h.times > 0 "
    "GROUP BY h.chunk_id ORDER BY score DESC, h.chunk_id LIMIT :limit"
)
_CONSTANTS = {"k": _SATURATION, "k1": _SATURATION + 1, "b": _LENGTH, "b0": 1 - _LENGTH, "least": _LEAST}


class PostgresLexicalIndex(InTransaction):
    """Full-text search over the chunk table; `pg_trgm` must be there to be enabled, as it is in every distribution."""

    async def create(self, connection: AsyncConnection) -> None:
        """Make extension, tables and indexes."""
        try:
            await connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        except DBAPIError as error:
            raise UserFault(
                f"The record's database cannot have the extension pg_trgm: {error.orig}",
                hint="Install PostgreSQL's contrib modules, or have its owner run CREATE EXTENSION pg_trgm once.",
            ) from error
        if not (await connection.exec_driver_sql("SELECT show_trgm('ж')")).scalar_one():
            raise UserFault(
                "The record's database knows letters of ASCII only, so other languages could not be searched.",
                hint="Create it with a UTF-8 locale, for example LOCALE 'C.UTF-8'.",
            )
        for statement in _TABLES:
            await connection.exec_driver_sql(statement)

    async def add(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Index rows and count their stems."""
        query = text("SELECT seq, chunk_id, document_id, title, heading, body FROM knowledge_chunk WHERE seq = ANY(:r)")
        values = []
        for row in await connection.execute(query, {"r": list(rows)}):
            whole = f"{row.title}\n{row.heading}\n{row.body}"
            stems = indexed_stems(whole)
            values.append(
                {
                    "seq": row.seq,
                    "chunk_id": row.chunk_id,
                    "document_id": row.document_id,
                    "stems": _vector(stems),
                    "words": len(stems),
                    "folded": whole.lower(),
                }
            )
        if values:
            await connection.execute(_INSERT, values)
            await connection.execute(_COUNT, {"rows": list(rows)})
            await connection.execute(text(_TOTAL.format(sign="+")), {"rows": list(rows)})

    async def remove(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Forget rows and take their stems off the counts."""
        names = {"rows": list(rows)}
        await connection.execute(_DISCOUNT, names)
        await connection.execute(text(_TOTAL.format(sign="-")), names)
        await connection.execute(text("DELETE FROM knowledge_words WHERE seq = ANY(:rows)"), names)

    async def search(
        self, connection: AsyncConnection, query: str, scope: LexicalScope, limit: int
    ) -> list[tuple[str, float]]:
        """BM25 over title, heading and body."""
        if not scope.sets:
            return []
        total = (await connection.exec_driver_sql("SELECT held, words, characters FROM knowledge_word_total")).one()
        if not total.held:
            return []
        values: dict[str, object] = {"sets": scope.sets, "limit": limit, "driving": _DRIVING}
        if scope.documents is not None:
            values["documents"] = scope.documents
        if scope.stems:
            counts = await self.frequencies(connection, query_stems(query, MAX_TERMS))
            if not counts:
                return []
            weights = {name: _rarity(total.held, held) for name, held in counts.items()}
            values |= {"terms": list(weights), "weights": list(weights.values()), "mean": total.words / total.held}
            values["match"] = _any_of(_driving(counts))
            values |= {"queries": [_any_of([name]) for name in weights], "weighed": _WEIGHED}
            statement = _statement("w.stems @@ CAST(:match AS tsquery)", _BY_STEMS, scope)
        else:
            terms = query_substrings(query, 2 * MAX_TERMS)
            if not terms:
                return []
            values |= {"terms": terms, "patterns": [_pattern(term) for term in terms]}
            values |= {"rows": total.held, "mean": total.characters / total.held}
            statement = _statement("w.folded LIKE ANY(CAST(:patterns AS text[]))", _BY_SUBSTRINGS, scope)
        return [(row.chunk_id, float(row.score)) for row in await connection.execute(statement, values)]

    async def frequencies(self, connection: AsyncConnection, stems: Sequence[str]) -> dict[str, int]:
        """Read from the counts."""
        query = text("SELECT stem, held FROM knowledge_stem_count WHERE stem = ANY(:stems) AND held > 0")
        return {row.stem: row.held for row in await connection.execute(query, {"stems": list(stems)})}

    async def rebuild(self, connection: AsyncConnection) -> None:
        """Empty the tables and index every live row."""
        await connection.exec_driver_sql("TRUNCATE knowledge_words, knowledge_stem_count, knowledge_word_total")
        await self.create(connection)
        live = await connection.exec_driver_sql("SELECT seq FROM knowledge_chunk WHERE state = 'live' ORDER BY seq")
        for part in batches(live.scalars().all()):
            await self.add(connection, part)

    async def intact(self, connection: AsyncConnection) -> bool:
        """Whether the same rows are indexed as are live, and as many as the total says."""
        differ = await connection.exec_driver_sql(
            "SELECT count(*) FROM knowledge_words w "
            "FULL JOIN (SELECT seq FROM knowledge_chunk WHERE state = 'live') c ON c.seq = w.seq "
            "WHERE c.seq IS NULL OR w.seq IS NULL"
        )
        there = await connection.exec_driver_sql("SELECT count(*) FROM knowledge_words")
        return not differ.scalar_one() and there.scalar_one() == await self.rows(connection)

    async def rows(self, connection: AsyncConnection) -> int:
        """Read from the total."""
        return int((await connection.exec_driver_sql("SELECT held FROM knowledge_word_total")).scalar_one())


def _statement(matches: str, ranking: str, scope: LexicalScope) -> TextClause:
    documents = "" if scope.documents is None else " AND d.document_id = ANY(:documents)"
    return text((_FOUND + ranking).format(matches=matches, documents=documents, **_CONSTANTS))


def _vector(stems: Sequence[str]) -> str:
    """A tsvector as text: each stem with as many positions as it has occurrences (the type keeps up to 256)."""
    counted = Counter(stems).items()
    return " ".join(f"'{name}':{','.join(map(str, range(1, min(times, 256) + 1)))}" for name, times in counted)


def _rarity(rows: int, held: int) -> float:
    return max(_LEAST, math.log((rows - held + 0.5) / (held + 0.5))) if held < rows else _LEAST


def _driving(counts: Mapping[str, int]) -> list[str]:
    """The rarest of the words, as long as they choose few enough rows; at least one."""
    chosen, rows = [], 0
    for name, held in sorted(counts.items(), key=lambda pair: pair[1]):
        rows += held
        if chosen and rows > _DRIVING:
            break
        chosen.append(name)
    return chosen


def _any_of(stems: Sequence[str]) -> str:
    return " | ".join(f"'{name}'" for name in stems)


def _pattern(term: str) -> str:
    return "%" + term.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%") + "%"
