"""Which index of words serves beside SQLite: FTS5, or tantivy when there is much, changed over while both are kept."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.index.lexical import LexicalIndex, LexicalScope
from knowledge.index.lexical_sqlite import SqliteLexicalIndex
from knowledge.index.lexical_tantivy import TantivyLexicalIndex
from knowledge.store.database import Database

_log = structlog.get_logger(__name__)
WordEngine = Literal["auto", "fts5", "tantivy"]

_STATE = "CREATE TABLE IF NOT EXISTS knowledge_word_engine (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"
_KEEP = text("INSERT INTO knowledge_word_engine VALUES (1, :name) ON CONFLICT (id) DO UPDATE SET name = :name")
_BACK = 0.5  # share of the threshold below which a collection that shrank goes back to FTS5


class SwitchedLexicalIndex:
    """Implements `LexicalIndex` by the one that serves; while the other is built, changes go to both."""

    def __init__(self, database: Database, folder: Path, engine: WordEngine, threshold: int) -> None:
        self._database = database
        self._folder = folder
        self._engine: WordEngine = engine
        self._threshold = threshold
        self._small = SqliteLexicalIndex()
        self._large = TantivyLexicalIndex(folder, database)
        self._kept: tuple[LexicalIndex, ...] = (self._small,)

    @property
    def serving(self) -> str:
        """`fts5` or `tantivy`."""
        return "tantivy" if self._kept[0] is self._large else "fts5"

    async def create(self, connection: AsyncConnection) -> None:
        """Go on with the one that served last."""
        await connection.exec_driver_sql(_STATE)
        await self._large.create(connection)
        known = (await connection.exec_driver_sql("SELECT name FROM knowledge_word_engine")).scalar()
        if known is None:
            known = "tantivy" if self._engine == "tantivy" and await _live(connection) == 0 else "fts5"
            await connection.execute(_KEEP, {"name": known})
        await self._small.create(connection)
        self._kept = (self._large,) if known == "tantivy" else (self._small,)

    async def adapt(self) -> None:
        """Change over where the settings or the number of passages ask for it."""
        async with self._database.read() as connection:
            wanted = self._wanted(await _live(connection))
        if wanted == self.serving:
            return
        if wanted == "tantivy":
            await self._grow()
        else:
            await self._shrink()
        _log.info("knowledge_words_changed_over", engine=wanted)

    async def _grow(self) -> None:
        try:
            async with self._database.write():  # from here on no writer is under way that does not know of both
                self._kept = (self._small, self._large)
            await self._large.build()
            await self._large.settle()
            async with self._database.write() as connection:
                await connection.execute(_KEEP, {"name": "tantivy"})
                await self._small.clear(connection)
            self._kept = (self._large,)
        except BaseException:
            self._kept = (self._small,)
            raise

    async def _shrink(self) -> None:
        async with self._database.write() as connection:
            await self._small.rebuild(connection)
            await connection.execute(_KEEP, {"name": "fts5"})
        self._kept = (self._small,)
        await self._large.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def add(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Index rows."""
        for index in self._kept:
            await index.add(connection, rows)

    async def remove(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Forget rows."""
        for index in self._kept:
            await index.remove(connection, rows)

    async def relabel(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """The access set of rows is another one."""
        for index in self._kept:
            await index.relabel(connection, rows)

    async def after_write(self) -> None:
        """A document was written."""
        await self._kept[0].after_write()

    async def search(
        self, connection: AsyncConnection, query: str, scope: LexicalScope, limit: int
    ) -> list[tuple[str, float]]:
        """Of the one that serves."""
        return await self._kept[0].search(connection, query, scope, limit)

    async def frequencies(self, connection: AsyncConnection, stems: Sequence[str]) -> dict[str, int]:
        """Of the one that serves."""
        return await self._kept[0].frequencies(connection, stems)

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Of the one that serves."""
        return self._kept[0].turn()

    async def rebuild(self, connection: AsyncConnection) -> None:
        """Of the one that serves."""
        await self._kept[0].rebuild(connection)

    async def settle(self) -> None:
        """Of the one that serves."""
        await self._kept[0].settle()

    async def intact(self, connection: AsyncConnection) -> bool:
        """Of the one that serves."""
        return await self._kept[0].intact(connection)

    async def rows(self, connection: AsyncConnection) -> int:
        """Of the one that serves."""
        return await self._kept[0].rows(connection)

    async def close(self) -> None:
        """Let go of files."""
        await self._large.close()

    def _wanted(self, live: int) -> str:
        if self._engine != "auto":
            return self._engine
        if self.serving == "tantivy":
            return "tantivy" if live >= self._threshold * _BACK else "fts5"
        return "tantivy" if live > self._threshold else "fts5"


async def _live(connection: AsyncConnection) -> int:
    count = await connection.exec_driver_sql("SELECT count(*) FROM knowledge_chunk WHERE state = 'live'")
    return int(count.scalar_one())
