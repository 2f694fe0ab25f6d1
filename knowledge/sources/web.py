"""Pages by address, and all pages of sitemaps."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from urllib.parse import unquote, urldefrag, urlsplit

import structlog

from knowledge.contracts import SourceItem
from knowledge.sources.fetch import Fetched, SafeFetcher
from knowledge.sources.robots import Robots
from knowledge.sources.settings import WebSettings
from knowledge.sources.sitemap import read_sitemap
from knowledge.sources.spool import Spool
from signalbox.errors import ToolFault, UserFault

_log = structlog.get_logger(__name__)
_MAX_SITEMAPS = 200


class WebSource:
    """`pages` and everything in `sitemaps` that `include` and `exclude` (globs over the address) let through.

    A page is fetched again when its sitemap gives a new date, or else when its ETag, date or content is new.
    """

    def __init__(self, settings: WebSettings, fetcher: SafeFetcher) -> None:
        if not (settings.pages or settings.sitemaps):
            raise UserFault(f"The web source {settings.name!r} names neither pages nor sitemaps.", hint="Give one.")
        self._settings = settings
        self._fetcher = fetcher
        self._robots = Robots(fetcher, respect=settings.respect_robots, delay_s=settings.delay_s)
        self._spool = Spool()
        self.cut = ""

    @property
    def name(self) -> str:
        """The source's name in the record."""
        return self._settings.name

    async def items(self) -> AsyncIterator[SourceItem]:
        """The pages that are there; a page that fails just now is listed as it may still be read later."""
        self.cut = ""
        seen: set[str] = set()
        async for url, lastmod in self._addresses():
            if url in seen or not self._wanted(url):
                continue
            if len(seen) >= (limit := self._settings.max_pages):
                self.cut = f"There are more pages than max_pages ({limit}): raise it, or narrow `include`."
                return
            seen.add(url)
            if lastmod:
                yield self._item(url, f"lastmod:{lastmod}", 0, _iso(lastmod))
            elif item := await self._probe(url):
                yield item

    async def read(self, item: SourceItem) -> bytes:
        """The page, from the listing where it had to be fetched for that."""
        spooled = await self._spool.get(item.uri)
        if spooled is not None:
            return spooled
        return (await self._get(item.uri)).body

    async def _addresses(self) -> AsyncIterator[tuple[str, str]]:
        for page in self._settings.pages:
            yield urldefrag(page).url, ""
        waiting, done = list(self._settings.sitemaps), 0
        while waiting and done < _MAX_SITEMAPS:
            done += 1
            fetched = await self._get(waiting.pop(0))
            for entry in await asyncio.to_thread(read_sitemap, fetched.url, fetched.body):
                if entry.kind == "sitemap":
                    waiting.append(entry.address)
                else:
                    yield urldefrag(entry.address).url, entry.lastmod
        if waiting:
            self.cut = f"There are more sitemaps than {_MAX_SITEMAPS}: make several sources of them."

    async def _probe(self, url: str) -> SourceItem | None:
        """An item with the page's own mark of change, or with the hash of its content. Gone pages are no item."""
        try:
            fetched = await self._get(url)
        except ToolFault as fault:
            if getattr(fault, "gone", False):
                return None
            _log.warning("page_failed", source=self._settings.name, reason=fault.message)
            return self._item(url, "unreadable", 0, None)
        await self._spool.put(url, fetched.body)
        mark = fetched.headers.get("etag") or hashlib.sha256(fetched.body).hexdigest()
        return self._item(url, mark, len(fetched.body), _http_date(fetched.headers.get("last-modified")))

    async def _get(self, url: str) -> Fetched:
        await self._robots.admit(url)
        fetched = await self._fetcher.fetch(url)
        if fetched.status in {404, 410}:
            raise Gone(f"{url!r} is gone (HTTP {fetched.status}).")
        if fetched.status != 200:
            raise ToolFault(f"{url!r} answered HTTP {fetched.status}.", retryable=fetched.status >= 429)
        return fetched

    def _item(self, url: str, fingerprint: str, size: int, modified: datetime | None) -> SourceItem:
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return SourceItem(
            source=self._settings.name,
            document=f"{parts.netloc}{unquote(parts.path).rstrip('/')}{query}",
            uri=url,
            fingerprint=fingerprint,
            size_bytes=size,
            modified=modified,
            access=self._settings.access,
            tags=self._settings.tags,
            region=self._settings.region,
        )

    def _wanted(self, url: str) -> bool:
        if self._settings.include and not any(fnmatchcase(url, pattern) for pattern in self._settings.include):
            return False
        return not any(fnmatchcase(url, pattern) for pattern in self._settings.exclude)


class Gone(ToolFault):
    """The page is not there any more."""

    gone = True


def _iso(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _http_date(value: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(value) if value else None
    except ValueError:
        return None
