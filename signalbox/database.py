"""One way to open a database: SQLite in WAL mode with immediate transactions, or PostgreSQL by URL."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from signalbox.errors import UpstreamDown, UserFault
from signalbox.transactions import SqliteThreads

T = TypeVar("T")
READ_ONLY = {"signalbox_read_only": True}
"""Execution options of an engine whose transactions only read: on SQLite they then wait for no writer."""

_TURN = "signalbox_turn"
_LIBPQ_DRIVERS = frozenset({"", "psycopg", "psycopg_async", "psycopg2"})
# A server that is cut off says nothing, not even that it is gone; without these the kernel waits for two hours.
_LIBPQ_PATIENCE = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # ms
}


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file for the asynchronous driver."""
    return f"sqlite+aiosqlite:///{path}"


def open_engine(url: str) -> AsyncEngine:
    """An engine for `url`; a SQLite file's folder is made when it is missing.

    SQLite: WAL, `synchronous=NORMAL`, a busy timeout, and every transaction begins IMMEDIATE. The driver's
    deferred BEGIN fails with "database is locked" under concurrent writers.

    PostgreSQL: by psycopg, for a plain `postgresql://` too. A server that is cut off is given up after half a minute.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _postgres(parsed)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    turn = asyncio.Lock()
    threads = _threads(parsed, turn)
    engine = create_async_engine(url, execution_options={_TURN: turn, **threads.options})
    _prepare(engine.sync_engine)
    event.listen(engine.sync_engine, "invalidate", _on_invalidate)
    event.listen(engine.sync_engine, "engine_disposed", lambda _engine: threads.close())
    return engine


def patience(url: URL) -> dict[str, Any]:
    """Arguments by which a driver of PostgreSQL gives up a server that is cut off; those that `url` holds go first."""
    if url.get_backend_name() != "postgresql" or url.drivername.partition("+")[2] not in _LIBPQ_DRIVERS:
        return {}
    return {name: value for name, value in _LIBPQ_PATIENCE.items() if name not in url.query}


async def answered(work: Coroutine[Any, Any, T], timeout_s: float) -> T:
    """What `work` on a database returned; raises `UpstreamDown` when that takes too long.

    Not by `asyncio.timeout`: psycopg, when it is cancelled, first waits for the server to confirm. The work is
    cancelled and left behind.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait([task], timeout=timeout_s)
    finally:
        if not task.done():
            task.add_done_callback(_seen)
            task.cancel()
    if not done:
        raise UpstreamDown(f"The database did not answer within {timeout_s:g} s.", hint="Try again in a moment.")
    return task.result()


def _seen(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # otherwise asyncio complains about it later


def _postgres(url: URL) -> AsyncEngine:
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise UserFault(
            f"A database URL names {url.drivername!r}.", hint="Use postgresql://user:password@host/name, or sqlite."
        )
    try:
        return create_async_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            connect_args=patience(url),
        )
    except ModuleNotFoundError as error:
        raise UserFault("PostgreSQL needs its driver.", hint="Install signalbox[postgres].") from error


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection for queries; on SQLite it waits for no writer."""
    async with engine.execution_options(**READ_ONLY).connect() as connection:
        yield connection


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction, committed at its end. Never inside another one: on SQLite writers take turns.

    SQLite lets one write at a time, and has the others sleep between looks, the unlucky until their time is up; a
    queue in front of it is fair and costs nothing.
    """
    turn = engine.get_execution_options().get(_TURN)
    if turn is None:
        async with engine.begin() as connection:
            yield connection
        return
    async with turn, engine.begin() as connection:
        yield connection


def _threads(url: URL, turn: asyncio.Lock) -> SqliteThreads:
    plain = url.set(drivername="sqlite")
    engines = create_engine(plain), create_engine(plain, execution_options=READ_ONLY)
    for engine in engines:
        _prepare(engine)
    return SqliteThreads(*engines, turn)


def _prepare(engine: Engine) -> None:
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)


def _on_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we emit BEGIN ourselves, below
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_invalidate(connection: Any, _record: Any, _error: BaseException | None) -> None:
    """Undo what a cancelled call had begun, before its connection is closed.

    SQLite keeps a closed connection, with its locks, while a statement of it lives, and that may be in a traceback.
    Not waited for: the driver's thread does it before the close, which is asked of it next.
    """
    asyncio.ensure_future(connection.driver_connection.rollback()).add_done_callback(_seen)


def _on_begin(connection: Any) -> None:
    reads = connection.get_execution_options().get("signalbox_read_only", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
