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
from signalbox.errors import ToolFault

_GRACE_S = 2.0
"""The database ends a query that is too slow by itself; this is for one that does not answer at all."""


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
        rows = await self._rows()
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

    async def _rows(self) -> list[dict[str, Any]]:
        from knowledge.sources.sql_reading import SqlReading

        reading = SqlReading(self._settings)
        try:
            async with asyncio.timeout(self._settings.timeout_s + _GRACE_S):
                return await asyncio.to_thread(reading.rows)
        except TimeoutError as error:
            raise reading.too_slow() from error
        finally:
            if not reading.over:
                await asyncio.shield(asyncio.to_thread(reading.stop))

    def _rule(self, row: dict[str, Any]) -> AccessRule:
        if not self._settings.access_column:
            return self._settings.access
        subjects = read_subjects(
            text_of(row.get(self._settings.access_column)), f"{self._settings.name}.{self._settings.access_column}"
        )
        return narrow(self._settings.access, AccessRule(allow=subjects))
