"""A PostgreSQL database that can only be read: every statement in a READ ONLY transaction with a statement timeout.

Give the role in the URL no rights but SELECT on the tables of the catalogue; what is here is the second lock, not the
first. The driver is psycopg 3, which Signalbox does not install by itself.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from mcp_servers.operations.reader import Limits, Page, Statement, take, too_slow
from signalbox.database import patience
from signalbox.errors import UpstreamDown, UserFault
from signalbox.server_work import ServerWork

_GRACE_S = 2.0
_STREAM = {"stream_results": True, "max_row_buffer": 500}
_CONNECT_TIMEOUT_S = 10
_PARAMETER = re.compile(r"%\((\w+)\)s")
_CANCELLED = "57014"
_COLUMNS = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = ANY (current_schemas(false))"
)


class PostgresReader:
    """Reads one PostgreSQL database through SQLAlchemy, on worker threads."""

    dialect = "postgres"

    def __init__(self, url: str, *, max_parallel: int) -> None:
        address = sa.make_url(url)
        if address.drivername == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
        self._slots = anyio.CapacityLimiter(max_parallel)
        self._engine = sa.create_engine(
            address, pool_size=max_parallel, pool_pre_ping=True, connect_args=patience(address)
        )

    async def fetch(self, statement: Statement, limits: Limits) -> Page:
        """One page in a transaction of its own, which is rolled back; a cancelled call ends at the server too."""
        work = ServerWork()
        try:
            with anyio.fail_after(limits.timeout_s + _CONNECT_TIMEOUT_S + _GRACE_S):
                return await anyio.to_thread.run_sync(
                    self._fetch, statement, limits, work, limiter=self._slots, abandon_on_cancel=True
                )
        except TimeoutError as error:
            raise too_slow(limits.timeout_s) from error
        finally:
            if not work.over.is_set():
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(work.stop)

    async def columns(self) -> dict[str, frozenset[str]]:
        """Tables and views on the search path with their columns."""
        return await anyio.to_thread.run_sync(self._columns, limiter=self._slots)

    async def close(self) -> None:
        """Close the pool."""
        await anyio.to_thread.run_sync(self._engine.dispose)

    def _fetch(self, statement: Statement, limits: Limits, work: ServerWork) -> Page:
        try:
            with self._engine.connect() as connection, _held(connection, work):
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(limits.timeout_s * 1000)}")
                with connection.execute(
                    _text(statement.sql, statement.binds), dict(statement.binds), execution_options=_STREAM
                ) as result:
                    names = tuple(result.keys())
                    rows, more = take(result, statement.offset, limits)
                connection.rollback()
        except DBAPIError as error:
            raise self._explain(error, limits) from error
        return Page(names, rows, more)

    def _columns(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        try:
            with self._engine.connect() as connection:
                for table, column in connection.execute(sa.text(_COLUMNS)):
                    found.setdefault(table, set()).add(column)
        except DBAPIError as error:
            raise UpstreamDown(f"The operations database cannot be reached: {_first_line(error)}.") from error
        return {table: frozenset(columns) for table, columns in found.items()}

    def _explain(self, error: DBAPIError, limits: Limits) -> Exception:
        if getattr(error.orig, "sqlstate", None) == _CANCELLED:
            return too_slow(limits.timeout_s)
        if error.connection_invalidated or isinstance(error, OperationalError):
            return UpstreamDown(f"The operations database does not answer: {_first_line(error)}.")
        return UserFault(
            f"The database refused the statement: {_first_line(error)}.", hint="See describe_tables.", param="sql"
        )


@contextmanager
def _held(connection: sa.Connection, work: ServerWork) -> Iterator[None]:
    """While the work has the connection; that of work which was stopped is not used again."""
    try:
        with work.on(connection.connection.driver_connection):
            if work.stopped.is_set():
                raise UserFault("The call was cancelled before its query began.")
            yield
    finally:
        work.over.set()
        if work.stopped.is_set():
            connection.invalidate()


def _text(sql: str, binds: Mapping[str, Any]) -> sa.TextClause:
    # The guard writes %(name)s; text() wants :name, and every other colon escaped.
    parts = _PARAMETER.split(sql)
    escaped = [part.replace(":", r"\:") if index % 2 == 0 else f":{part}" for index, part in enumerate(parts)]
    kinds: dict[type, Any] = {str: sa.String(), int: sa.Integer(), type(None): sa.String()}
    marks = [sa.bindparam(name, type_=kinds.get(type(binds[name]), sa.Date())) for name in set(parts[1::2])]
    return sa.text("".join(escaped)).bindparams(*marks)


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).splitlines()[0].rstrip(".")
