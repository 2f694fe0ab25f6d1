"""The rows of a query, each as a document made by a template."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from knowledge.contracts import AccessRule, SourceItem
from knowledge.sources.access import narrow, read_subjects
from knowledge.sources.records import moment_of, render, text_of
from knowledge.sources.settings import SqlSettings
from knowledge.sources.spool import Spool
from signalbox.errors import ToolFault, UpstreamDown, UserFault


class SqlSource:
    """One document a row. `key` names the column that identifies a row; `access_column` may only narrow `access`."""

    def __init__(self, settings: SqlSettings) -> None:
        self._settings = settings
        self._spool = Spool()
        self.cut = ""

    @property
    def name(self) -> str:
        """The source's name in the record."""
        return self._settings.name

    async def items(self) -> AsyncIterator[SourceItem]:
        """One item a row, with the hash of its document as its fingerprint."""
        async with asyncio.timeout(self._settings.timeout_s):
            rows = await asyncio.to_thread(self._rows)
        limit = self._settings.max_rows
        self.cut = ""
        if len(rows) > limit:
            self.cut = f"There are more rows than max_rows ({limit}): raise it, or narrow the query."
        title = self._settings.title or f"{self._settings.name} {{{self._settings.key}}}"
        for row in rows[:limit]:
            content = render(row, title=title, template=self._settings.template).encode()
            key = str(row[self._settings.key])
            uri = f"sql://{quote(self._settings.name)}/{quote(key, safe='')}"
            await self._spool.put(uri, content)
            yield SourceItem(
                source=self._settings.name,
                document=f"{key.replace('/', '_')}.md",
                uri=uri,
                fingerprint=hashlib.sha256(content).hexdigest(),
                size_bytes=len(content),
                modified=moment_of(row.get(self._settings.modified_column)),
                access=self._rule(row),
                tags=self._settings.tags,
                region=self._settings.region,
            )

    async def read(self, item: SourceItem) -> bytes:
        """The document that the listing made."""
        content = await self._spool.get(item.uri)
        if content is None:
            raise ToolFault("The row was not in the last listing.", retryable=True)
        return content

    def _rows(self) -> list[dict[str, Any]]:
        """All rows, in a transaction that is never committed; read-only where the database can be told so."""
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

        from signalbox.database import patience

        try:
            url = sqlalchemy.make_url(self._settings.url.get_secret_value())
            engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, connect_args=patience(url))
        except (ArgumentError, ImportError) as error:
            raise UserFault(
                f"The address of the SQL source {self._settings.name!r} is not usable.", hint=str(error)
            ) from error
        try:
            with engine.connect() as connection:
                if engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA query_only = ON")
                options = {"postgresql_readonly": True} if engine.dialect.name == "postgresql" else {}
                reading = connection.execution_options(stream_results=True, **options)
                result = reading.execute(sqlalchemy.text(self._settings.query))
                if self._settings.key not in set(result.keys()):
                    name, key = self._settings.name, self._settings.key
                    raise UserFault(f"The query of {name!r} has no column {key!r}.", hint="Name its key column.")
                return [dict(row) for row in result.mappings().fetchmany(self._settings.max_rows + 1)]
        except OperationalError as error:
            raise UpstreamDown(f"The database of {self._settings.name!r} does not answer: {error.orig}.") from error
        except SQLAlchemyError as error:
            raise UserFault(f"The query of {self._settings.name!r} failed: {error}.") from error
        finally:
            engine.dispose()

    def _rule(self, row: dict[str, Any]) -> AccessRule:
        if not self._settings.access_column:
            return self._settings.access
        subjects = read_subjects(
            text_of(row.get(self._settings.access_column)), f"{self._settings.name}.{self._settings.access_column}"
        )
        return narrow(self._settings.access, AccessRule(allow=subjects))
