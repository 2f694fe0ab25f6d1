"""Records behind a REST endpoint: a JSON list, page by page, each record as a document."""

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urljoin

from knowledge.contracts import SourceItem
from knowledge.sources.fetch import SafeFetcher
from knowledge.sources.records import moment_of, pick, render, text_of
from knowledge.sources.settings import RestSettings
from knowledge.sources.spool import Spool
from signalbox.errors import ToolFault, UpstreamDown, UserFault


class RestSource:
    """One document a record. The list is named by its address, or by an operation of an OpenAPI description."""

    def __init__(self, settings: RestSettings, fetcher: SafeFetcher) -> None:
        if bool(settings.url) == bool(settings.openapi_url and settings.operation_id):
            raise UserFault(f"The REST source {settings.name!r} needs either url, or openapi_url and operation_id.")
        self._settings = settings
        self._fetcher = fetcher
        self._spool = Spool()
        self.cut = ""

    @property
    def name(self) -> str:
        """The source's name in the record."""
        return self._settings.name

    async def items(self) -> AsyncIterator[SourceItem]:
        """One item a record, with the hash of its document as its fingerprint."""
        settings = self._settings
        title = settings.title or f"{settings.name} {{{settings.key}}}"
        seen: set[str] = set()
        async for record in self._records():
            key = text_of(pick(record, settings.key))
            if not key or key in seen:
                continue
            seen.add(key)
            content = render(record, title=title, template=settings.template).encode()
            uri = f"rest://{quote(settings.name)}/{quote(key, safe='')}"
            await self._spool.put(uri, content)
            yield SourceItem(
                source=settings.name,
                document=f"{key.replace('/', '_')}.md",
                uri=uri,
                fingerprint=hashlib.sha256(content).hexdigest(),
                size_bytes=len(content),
                modified=moment_of(pick(record, settings.modified_field)) if settings.modified_field else None,
                access=settings.access,
                tags=settings.tags,
                region=settings.region,
            )

    async def read(self, item: SourceItem) -> bytes:
        """The document that the listing made."""
        content = await self._spool.get(item.uri)
        if content is None:
            raise ToolFault("The record was not in the last listing.", retryable=True)
        return content

    async def _records(self) -> AsyncIterator[dict[str, Any]]:
        settings = self._settings
        self.cut = ""
        url = settings.url or await self._operation_url()
        for _ in range(settings.max_pages):
            answer = await self._json(url)
            records = pick(answer, settings.items)
            if not isinstance(records, list):
                raise UserFault(
                    f"The answer of {settings.name!r} has no list at {settings.items or 'its top'!r}.",
                    hint="Set `items` to the path of the list.",
                )
            for record in records:
                if isinstance(record, dict):
                    yield record
            following = pick(answer, settings.next) if settings.next else None
            if not isinstance(following, str) or not following:
                return
            url = urljoin(url, following)
        self.cut = f"There are more pages of records than max_pages ({settings.max_pages}): raise it."

    async def _json(self, url: str) -> Any:
        secrets = {name: value.get_secret_value() for name, value in self._settings.headers.items()}
        fetched = await self._fetcher.fetch(url, headers={"Accept": "application/json", **secrets})
        if fetched.status != 200:
            raise UpstreamDown(f"{self._settings.name!r} answered HTTP {fetched.status}.")
        try:
            return json.loads(fetched.body)
        except (ValueError, RecursionError) as error:
            raise UserFault(f"{self._settings.name!r} did not answer with JSON.") from error

    async def _operation_url(self) -> str:
        """The address of the GET operation that the settings name."""
        settings = self._settings
        description = await self._json(settings.openapi_url)
        servers = pick(description, "servers.0.url") or ""
        for path, operations in (pick(description, "paths") or {}).items():
            if pick(operations, "get.operationId") == settings.operation_id:
                if "{" in path:
                    raise UserFault(f"The operation {settings.operation_id!r} needs path parameters; it is no list.")
                return urljoin(settings.openapi_url, f"{str(servers).rstrip('/')}{path}")
        raise UserFault(f"{settings.openapi_url!r} has no GET operation {settings.operation_id!r}.")
