"""The resources of an MCP server."""

import asyncio
import base64
import hashlib
import mimetypes
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2

from knowledge.contracts import SourceItem
from knowledge.sources.records import moment_of
from knowledge.sources.settings import McpSettings
from knowledge.sources.spool import Spool
from signalbox.errors import SignalboxError, ToolFault, UpstreamDown, UserFault

_EXTENSIONS = {"text/markdown": ".md", "text/plain": ".txt", "text/html": ".html", "application/json": ".json"}


class McpResources:
    """One document a resource. Those without a date of change are read while listing, to see whether they changed.

    `server` is anything that `mcp.Client` takes; by default what the settings name.
    """

    def __init__(self, settings: McpSettings, server: Callable[[], Any] | None = None) -> None:
        if server is None and bool(settings.url) == bool(settings.command):
            raise UserFault(f"The MCP source {settings.name!r} needs either a url or a command.")
        self._settings = settings
        self._server = server or self._configured
        self._spool = Spool()
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        """The source's name in the record."""
        return self._settings.name

    async def items(self) -> AsyncIterator[SourceItem]:
        """All resources, page by page; the session ends before the first is handed out."""
        for item in await self._session(self._list):
            yield item

    async def read(self, item: SourceItem) -> bytes:
        """The resource's content, text or binary."""
        spooled = await self._spool.get(item.uri)
        if spooled is not None:
            return spooled
        async with self._lock:
            return await self._session(lambda client: self._content(client, item.uri))

    async def _session(self, work: Callable[[Any], Any]) -> Any:
        from mcp import Client, MCPError

        settings = self._settings
        try:
            async with asyncio.timeout(settings.timeout_s * 10):
                async with Client(self._server(), read_timeout_seconds=settings.timeout_s) as client:
                    return await work(client)
        except SignalboxError:
            raise
        except MCPError as error:
            raise ToolFault(f"The MCP server of {settings.name!r} refused: {error}.", retryable=True) from error
        except (OSError, TimeoutError, ExceptionGroup) as error:
            raise UpstreamDown(f"The MCP server of {settings.name!r} does not answer: {error}.") from error

    async def _list(self, client: Any) -> list[SourceItem]:
        items: list[SourceItem] = []
        cursor: str | None = None
        while True:
            page = await client.list_resources(cursor=cursor)
            for resource in page.resources:
                if self._wanted(str(resource.uri)):
                    items.append(await self._item(client, resource))
            cursor = page.next_cursor
            if not cursor:
                return items

    async def _item(self, client: Any, resource: Any) -> SourceItem:
        uri = str(resource.uri)
        changed = resource.annotations.last_modified if resource.annotations else None
        fingerprint, size = f"changed:{changed}", resource.size or 0
        if not changed:
            content = await self._content(client, uri)
            await self._spool.put(uri, content)
            fingerprint, size = hashlib.sha256(content).hexdigest(), len(content)
        modified: datetime | None = moment_of(changed)
        return SourceItem(
            source=self._settings.name,
            document=_path_of(uri, resource.mime_type or ""),
            uri=uri,
            fingerprint=fingerprint,
            size_bytes=size,
            modified=modified,
            access=self._settings.access,
            tags=self._settings.tags,
            region=self._settings.region,
        )

    async def _content(self, client: Any, uri: str) -> bytes:
        result = await client.read_resource(uri)
        parts = [
            part.text.encode() if hasattr(part, "text") else base64.b64decode(part.blob) for part in result.contents
        ]
        if not parts:
            raise ToolFault("The resource has no content.")
        return parts[0] if len(parts) == 1 else b"\n\n".join(parts)

    def _wanted(self, uri: str) -> bool:
        settings = self._settings
        if settings.include and not any(fnmatchcase(uri, pattern) for pattern in settings.include):
            return False
        return not any(fnmatchcase(uri, pattern) for pattern in settings.exclude)

    def _configured(self) -> Any:
        settings = self._settings
        if settings.url:
            return _over_http(settings)
        from mcp import StdioServerParameters

        env = {name: value.get_secret_value() for name, value in settings.env.items()}
        return StdioServerParameters(command=settings.command[0], args=list(settings.command[1:]), env=env)


@asynccontextmanager
async def _over_http(settings: McpSettings) -> AsyncIterator[Any]:
    from mcp.client.streamable_http import streamable_http_client

    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    async with (
        # A redirect would carry the headers to a stranger.
        httpx2.AsyncClient(headers=headers, timeout=settings.timeout_s, follow_redirects=not headers) as client,
        streamable_http_client(settings.url, http_client=client) as streams,
    ):
        yield streams


def _path_of(uri: str, media_type: str) -> str:
    """A path from a uri, with an extension that fits its type where it has none."""
    parts = urlsplit(uri)
    path = f"{parts.netloc}{unquote(parts.path)}".strip("/") or "resource"
    if PurePosixPath(path).suffix:
        return path
    kind = media_type.split(";", maxsplit=1)[0].strip().lower()
    return path + (_EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or "")
