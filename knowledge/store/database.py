"""The record's database: one engine for writes, a view of it for reads that never waits for a writer."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from signalbox.database import READ_ONLY

T = TypeVar("T")

_WRITERS = 7_301_144_269  # PostgreSQL advisory lock: processes that share a record write one after the other
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class Database:
    """Short transactions on the record."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._reader = engine.execution_options(**(READ_ONLY if self.dialect == "sqlite" else _SNAPSHOT))
        self._turn = asyncio.Lock()

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view."""
        async with self._reader.begin() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """All or nothing. Never inside another one: writers take turns.

        SQLite lets one write at a time, and has the others sleep for up to 100 ms between looks, the unlucky until
        their time is up; a queue here costs nothing and is fair. PostgreSQL's writers queue for a lock, so that other
        processes keep the same order: access sets, counts of words and the audit's chain rest on it.
        """
        async with self._turn, self.engine.begin() as connection:
            if self.dialect != "sqlite":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS})
            yield connection

    async def close(self) -> None:
        """Close the pool."""
        await self.engine.dispose()


def batches(items: Iterable[T], size: int = 500) -> Iterator[list[T]]:
    """Slices small enough to be bound as parameters of one statement."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
