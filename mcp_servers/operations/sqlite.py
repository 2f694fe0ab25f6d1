"""A SQLite file that can only be read: opened read-only, `query_only`, an authoriser on every statement, a deadline."""

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from urllib.parse import quote

import anyio
import anyio.to_thread

from mcp_servers.operations.guard_names import CTE_PREFIX, SQLITE_FUNCTIONS
from mcp_servers.operations.reader import Limits, Page, Statement, take, too_slow
from signalbox.errors import UpstreamDown, UserFault

_HEAP_BYTES = 256 * 1024 * 1024
_CELL_BYTES = 1_000_000
_STEPS_BETWEEN_CHECKS = 2_000
_GRACE_S = 2.0
_NEVER_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "sqlite_log"})


class SqliteReader:
    """Reads one SQLite file on worker threads; a cancelled call interrupts its statement."""

    dialect = "sqlite"

    def __init__(self, url: str, *, max_parallel: int) -> None:
        self._path = Path(url.partition("///")[2].partition("?")[0])
        self._slots = anyio.CapacityLimiter(max_parallel)
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._views: frozenset[str] = frozenset()

    async def fetch(self, statement: Statement, limits: Limits) -> Page:
        """One page, read in a thread that ends at the deadline or when the caller goes away."""
        stop = threading.Event()
        try:
            with anyio.fail_after(limits.timeout_s + _GRACE_S):
                return await anyio.to_thread.run_sync(
                    self._fetch, statement, limits, stop, limiter=self._slots, abandon_on_cancel=True
                )
        except TimeoutError as error:
            raise too_slow(limits.timeout_s) from error
        finally:
            stop.set()

    async def columns(self) -> dict[str, frozenset[str]]:
        """Tables and views of the file with their columns."""
        return await anyio.to_thread.run_sync(self._columns, limiter=self._slots)

    async def close(self) -> None:
        """Close idle connections; busy ones close when their statement ends."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _fetch(self, statement: Statement, limits: Limits, stop: threading.Event) -> Page:
        connection = self._take()
        deadline = time.monotonic() + limits.timeout_s

        def over() -> int:
            return int(stop.is_set() or time.monotonic() > deadline)

        try:
            connection.set_progress_handler(over, _STEPS_BETWEEN_CHECKS)
            connection.set_authorizer(_authoriser(statement.reads, self._views))
            binds = {k: v.isoformat() if isinstance(v, date) else v for k, v in statement.binds.items()}
            cursor = connection.execute(statement.sql, binds)
            names = tuple(column[0] for column in cursor.description or ())
            rows, more = take(cursor, statement.offset, limits)
            cursor.close()
        except sqlite3.Error as error:
            connection.close()
            raise self._explain(error, limits, interrupted=bool(over())) from error
        except MemoryError as error:
            connection.close()
            raise UserFault("The query needs too much memory.", hint="Filter or aggregate more.") from error
        with self._lock:
            self._idle.append(connection)
        return Page(names, rows, more)

    def _columns(self) -> dict[str, frozenset[str]]:
        connection = self._take()
        connection.set_authorizer(None)
        found: dict[str, frozenset[str]] = {}
        query = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"
        made = connection.execute(query).fetchall()
        self._views = frozenset(name.lower() for name, kind in made if kind == "view")
        for name, _ in made:
            rows = connection.execute("SELECT name FROM pragma_table_info(?)", (name,)).fetchall()
            found[name.lower()] = frozenset(column.lower() for (column,) in rows)
        connection.close()
        return found

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(self._path.absolute()))}?mode=ro",
                uri=True,
                check_same_thread=False,
                cached_statements=0,
            )
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _CELL_BYTES)
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            for pragma in (
                "query_only=ON",
                "trusted_schema=OFF",
                "temp_store=MEMORY",
                f"hard_heap_limit={_HEAP_BYTES}",
            ):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise UpstreamDown(f"The operations database {self._path.name!r} cannot be opened: {error}.") from error
        return connection

    def _explain(self, error: sqlite3.Error, limits: Limits, *, interrupted: bool) -> Exception:
        text = str(error)
        if interrupted or "interrupted" in text:
            return too_slow(limits.timeout_s)
        if isinstance(error, sqlite3.OperationalError) and ("unable to open" in text or "disk I/O" in text):
            return UpstreamDown(f"The operations database {self._path.name!r} cannot be read: {text}.")
        if "not authorized" in text or "prohibited" in text:
            return UserFault(
                "The statement reads something that is not available.", hint="See describe_tables.", param="sql"
            )
        return UserFault(f"The database refused the statement: {text}.", hint="See describe_tables.", param="sql")


def _authoriser(reads: Mapping[str, frozenset[str]] | None, views: frozenset[str]) -> Callable[..., int]:
    def decide(action: int, first: str | None, second: str | None, _schema: str | None, source: str | None) -> int:
        if action in {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            name = (second or "").lower()
            fine = name not in _NEVER_FUNCTIONS if reads is None else name in SQLITE_FUNCTIONS
            return sqlite3.SQLITE_OK if fine else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_READ:
            return (
                sqlite3.SQLITE_OK
                if _may_read((first or "").lower(), (second or "").lower(), source)
                else sqlite3.SQLITE_DENY
            )
        return sqlite3.SQLITE_DENY

    def _may_read(table: str, column: str, source: str | None) -> bool:
        if table.startswith(("sqlite_", "pragma_")):
            return False
        if reads is None:
            return True
        inside = (source or "").lower()  # a view, but also a CTE, which may have any name
        if inside in views and inside in reads:
            return True
        if not column and (table.startswith(CTE_PREFIX) or table in reads):
            return True
        return column in reads.get(table, frozenset())

    return decide
