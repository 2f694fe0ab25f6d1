"""From a source's settings to its connector, and its connections closed at the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import assert_never

from knowledge.contracts import Connector
from knowledge.sources.fetch import SafeFetcher
from knowledge.sources.folder import FolderSource
from knowledge.sources.imap import ImapSource
from knowledge.sources.maildir import MaildirSource
from knowledge.sources.mcp import McpResources
from knowledge.sources.rest import RestSource
from knowledge.sources.settings import (
    AnySource,
    FolderSettings,
    ImapSettings,
    MaildirSettings,
    McpSettings,
    RestSettings,
    SqlSettings,
    WebSettings,
)
from knowledge.sources.sql import SqlSource
from knowledge.sources.web import WebSource


@asynccontextmanager
async def open_source(settings: AnySource) -> AsyncIterator[Connector]:
    """The connector that the settings describe, for one run."""
    if isinstance(settings, WebSettings | RestSettings):
        async with SafeFetcher(
            allow=settings.allow, max_bytes=settings.max_bytes, timeout_s=settings.timeout_s
        ) as fetcher:
            yield WebSource(settings, fetcher) if isinstance(settings, WebSettings) else RestSource(settings, fetcher)
    elif isinstance(settings, ImapSettings):
        mailbox = ImapSource(settings)
        try:
            yield mailbox
        finally:
            await mailbox.close()
    else:
        yield _local(settings)


def _local(settings: FolderSettings | MaildirSettings | SqlSettings | McpSettings) -> Connector:
    match settings:
        case FolderSettings():
            return FolderSource(
                settings.path,
                name=settings.name,
                access=settings.access,
                include=settings.include,
                exclude=settings.exclude,
                tags=settings.tags,
                region=settings.region,
            )
        case MaildirSettings():
            since = datetime.now(UTC) - timedelta(days=settings.days) if settings.days else None
            return MaildirSource(
                settings.path,
                name=settings.name,
                access=settings.access,
                folders=settings.folders,
                since=since,
                tags=settings.tags,
                region=settings.region,
            )
        case SqlSettings():
            return SqlSource(settings)
        case McpSettings():
            return McpResources(settings)
        case _:
            assert_never(settings)
