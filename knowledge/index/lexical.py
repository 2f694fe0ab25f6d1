"""What is asked of an index of words, whatever keeps it: FTS5 or tantivy beside SQLite, tsvector in PostgreSQL."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

MAX_TERMS = 32
"""Words of a question that are looked up; what comes after is a pasted document, not a question."""


class LexicalIndex(Protocol):
    """What retrieval and the store need of a lexical index; rows are named by `knowledge_chunk.seq`."""

    async def create(self, connection: AsyncConnection) -> None:
        """Make what is missing."""
        ...

    async def add(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Index rows that stand in `knowledge_chunk`."""
        ...

    async def remove(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Forget rows; they must still stand unchanged in `knowledge_chunk`."""
        ...

    async def relabel(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """The access set of rows is another one now."""
        ...

    async def settle(self) -> None:
        """Take in all that was committed: before a search, and never within a transaction."""
        ...

    async def after_write(self) -> None:
        """A document was committed; never called within a transaction."""
        ...

    async def search(
        self, connection: AsyncConnection, query: str, scope: "LexicalScope", limit: int
    ) -> list[tuple[str, float]]:
        """Chunk ids with scores, best first, higher is better."""
        ...

    async def frequencies(self, connection: AsyncConnection, stems: Sequence[str]) -> dict[str, int]:
        """In how many rows each stem occurs; unknown stems are left out."""
        ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """The turn to change the index. Whoever needs it and a write takes it first: one order, so that none waits
        for the other for good."""
        ...

    async def rebuild(self, connection: AsyncConnection) -> None:
        """Make the index again from the record, by who has the turn."""
        ...

    async def intact(self, connection: AsyncConnection) -> bool:
        """Whether the index holds what the record holds; asked in a write transaction, by who has the turn."""
        ...

    async def rows(self, connection: AsyncConnection) -> int:
        """How many rows are indexed, cheaply: asked for every search."""
        ...


class InTransaction:
    """An index that is part of the record's transactions and joins its access sets: nothing is ever behind."""

    async def relabel(self, connection: AsyncConnection, rows: Sequence[int]) -> None:
        """Nothing to do: access sets are read from the record."""

    async def settle(self) -> None:
        """Nothing to do."""

    async def after_write(self) -> None:
        """Nothing to do."""

    def turn(self) -> AbstractAsyncContextManager[None]:
        """The transaction's own."""
        return nullcontext()


class LexicalScope:
    """Which rows a search may see."""

    def __init__(self, sets: Sequence[int], documents: Sequence[str] | None, *, stems: bool = True) -> None:
        self.sets = list(sets)
        self.documents = None if documents is None else list(documents)
        self.stems = stems
