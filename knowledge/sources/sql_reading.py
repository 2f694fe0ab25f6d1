"""The rows of one query, read in a thread that ends in time: at its deadline, or soon after nobody waits for it.

SQLite asks us every few thousand steps whether to go on. PostgreSQL has the deadline as its statement timeout, and a
request to cancel where the caller goes away. With other databases it ends between two batches of rows.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from knowledge.sources.settings import SqlSettings
from signalbox.database import patience
from signalbox.errors import SignalboxError, UpstreamDown, UserFault
from signalbox.server_work import ServerWork

_BATCH = 500
_STREAM = {"stream_results": True, "max_row_buffer": _BATCH}
_STEPS_BETWEEN_CHECKS = 2_000
_FORM = "Write it as dialect+driver://user:password@host:port/database; in the password, write @ : / as %40 %3A %2F."


class SqlReading:
    """One run of the query: `rows` in a thread, `stop` from another."""

    def __init__(self, settings: SqlSettings) -> None:
        self._settings = settings
        self._deadline = time.monotonic() + settings.timeout_s
        self._work = ServerWork()

    @property
    def over(self) -> bool:
        """Whether `rows` has come back."""
        return self._work.over.is_set()

    def rows(self) -> list[dict[str, Any]]:
        """At most one row more than `max_rows`, in a transaction that is never committed."""
        name = self._settings.name
        engine = self._engine()
        try:
            with engine.connect() as connection, self._running(connection):
                return self._read(connection)
        except OperationalError as error:
            if self._late() or getattr(error.orig, "sqlstate", None) == "57014":
                raise self.too_slow() from error
            raise UpstreamDown(f"The database of {name!r} does not answer: {error.orig}.") from error
        except SQLAlchemyError as error:
            raise UserFault(f"The query of {name!r} failed: {error}.") from error
        finally:
            self._work.over.set()
            engine.dispose()

    def stop(self) -> None:
        """Have the query end, at the server too; blocks until it has or cannot be reached."""
        self._work.stop()

    def too_slow(self) -> SignalboxError:
        """What a query that took too long is told as."""
        name, limit = self._settings.name, self._settings.timeout_s
        return UpstreamDown(
            f"The query of {name!r} took longer than {limit:g} s.", hint="Narrow it, or raise timeout_s of the source."
        )

    def _late(self) -> bool:
        return self._work.stopped.is_set() or time.monotonic() > self._deadline

    def _engine(self) -> Engine:
        """The database by its address. No message holds any of it: a wrong one may have the password anywhere."""
        what = f"The address of the SQL source {self._settings.name!r} is not usable."
        try:
            url = make_url(self._settings.url.get_secret_value())
            if "@" in (url.host or ""):
                raise UserFault(what, hint=_FORM)
            return create_engine(url, poolclass=NullPool, connect_args=patience(url))
        except (ImportError, NoSuchModuleError) as error:
            raise UserFault(what, hint=f"Its driver is not there: {error}.") from None
        except (ArgumentError, ValueError, TypeError):
            raise UserFault(what, hint=_FORM) from None

    def _read(self, connection: Connection) -> list[dict[str, Any]]:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        elif connection.dialect.name == "postgresql":
            connection = connection.execution_options(postgresql_readonly=True)
            left = max(1, int((self._deadline - time.monotonic()) * 1000))
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {left}")
        with connection.execute(text(self._settings.query), execution_options=_STREAM) as result:
            key = self._settings.key
            if key not in set(result.keys()):
                raise UserFault(f"The query of {self._settings.name!r} has no column {key!r}.", hint="Name its key.")
            return self._fetched(result)

    def _fetched(self, result: CursorResult[Any]) -> list[dict[str, Any]]:
        most = self._settings.max_rows + 1
        rows: list[dict[str, Any]] = []
        while len(rows) < most and (batch := result.mappings().fetchmany(min(_BATCH, most - len(rows)))):
            rows.extend(dict(row) for row in batch)
            if self._late():
                raise self.too_slow()
        return rows

    @contextlib.contextmanager
    def _running(self, connection: Connection) -> Iterator[None]:
        """While the query has the connection, it can be stopped."""
        driver = connection.connection.driver_connection
        if connection.dialect.name == "sqlite":
            assert driver is not None
            driver.set_progress_handler(lambda: int(self._late()), _STEPS_BETWEEN_CHECKS)
        with self._work.on(driver):
            if self._late():
                raise self.too_slow()
            yield
