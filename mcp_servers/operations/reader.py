"""Runs one statement, read-only, with a deadline and limits: what every database behind the server offers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mcp_servers.operations.models import Cell
from signalbox.errors import SignalboxError, UserFault


@dataclass(frozen=True)
class Limits:
    """What one call may take and bring back."""

    timeout_s: float
    max_rows: int
    max_bytes: int
    max_cell_chars: int


@dataclass(frozen=True)
class Page:
    """Rows from `offset` on, and whether there are more."""

    names: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    more: bool


@dataclass(frozen=True)
class Statement:
    """SQL with its bound values; `reads` is what the database itself lets through, None for the catalogue's own."""

    sql: str
    binds: Mapping[str, Any]
    reads: Mapping[str, frozenset[str]] | None
    offset: int = 0


class Reader(Protocol):
    """A database that can only be read."""

    dialect: str

    async def fetch(self, statement: Statement, limits: Limits) -> Page:
        """One page of rows; raises `UserFault` for SQL that cannot run, `UpstreamDown` when the database is away."""
        ...

    async def columns(self) -> dict[str, frozenset[str]]:
        """The tables and columns that exist."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


def too_slow(timeout_s: float) -> SignalboxError:
    """What a statement over its deadline ends as."""
    return UserFault(
        f"The query ran longer than {timeout_s:g} s and was stopped.", hint="Filter by a date or a site, or aggregate."
    )


def take(cursor: Any, offset: int, limits: Limits) -> tuple[list[tuple[Cell, ...]], bool]:
    """Rows from a cursor within the limits; the second value is True when there are more."""
    skipped = 0
    while skipped < offset:
        step = len(cursor.fetchmany(min(500, offset - skipped)))
        if step == 0:
            return [], False
        skipped += step
    rows: list[tuple[Cell, ...]] = []
    spent = 0
    for raw in cursor:
        row = tuple(_cell(value, limits.max_cell_chars) for value in raw)
        spent += sum(len(str(value)) + 8 for value in row)
        if len(rows) >= limits.max_rows or (rows and spent > limits.max_bytes):
            return rows, True
        rows.append(row)
    return rows, False


def _cell(value: Any, max_chars: int) -> Cell:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bytes, memoryview)):
        return f"({len(value)} bytes)"
    if type(value).__name__ == "Decimal":
        return float(value)
    text = str(value)
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def open_reader(url: str, *, max_parallel: int) -> Reader:
    """The reader for a SQLAlchemy URL. SQLite needs no SQLAlchemy, which keeps the process's start short."""
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        from mcp_servers.operations.sqlite import SqliteReader

        return SqliteReader(url, max_parallel=max_parallel)
    if scheme == "postgresql":
        from mcp_servers.operations.postgres import PostgresReader

        return PostgresReader(url, max_parallel=max_parallel)
    raise UserFault(
        f"operations.url names {scheme!r}.", hint="Use sqlite:///… or postgresql+psycopg://….", param="operations.url"
    )
