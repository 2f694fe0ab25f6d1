"""Folders of a mailbox on an IMAP server; nothing there is changed, not even what counts as read."""

import asyncio
import imaplib
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import quote

from knowledge.contracts import SourceItem
from knowledge.sources.settings import ImapSettings
from signalbox.errors import ToolFault, UpstreamDown, UserFault

_T = TypeVar("_T")
_BATCH = 200
_LINE = re.compile(rb"UID (\d+)")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')


class ImapSource:
    """Every message of the given folders; `imaplib` works in a thread, one command at a time."""

    def __init__(self, settings: ImapSettings) -> None:
        if settings.tls == "none" and not _is_loopback(settings.host):
            raise UserFault(
                f"The mailbox {settings.name!r} would be read without TLS.",
                hint="Use tls = 'implicit' or 'starttls'.",
            )
        self._settings = settings
        self._connection: imaplib.IMAP4 | None = None
        self._selected = ""
        self._validity = "0"
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        """The source's name in the record."""
        return self._settings.name

    async def items(self) -> AsyncIterator[SourceItem]:
        """One item a message; folder, UIDVALIDITY and UID make its identity."""
        for folder in self._settings.folders:
            for item in await self._in_thread(lambda folder=folder: list(self._list(folder))):
                yield item

    async def read(self, item: SourceItem) -> bytes:
        """The message's bytes."""
        folder, _, uid = item.document.removesuffix(".eml").rpartition("/")
        return await self._in_thread(lambda: self._fetch(folder, uid))

    async def close(self) -> None:
        """Log out."""
        async with self._lock:
            await asyncio.to_thread(self._drop)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        """Run blocking work; a connection that failed is thrown away."""
        async with self._lock:
            try:
                return await asyncio.to_thread(work)
            except (OSError, imaplib.IMAP4.abort) as error:
                await asyncio.to_thread(self._drop)
                raise UpstreamDown(f"The mail server {self._settings.host!r} does not answer: {error}.") from error
            except imaplib.IMAP4.error as error:
                await asyncio.to_thread(self._drop)
                raise ToolFault(f"The mail server {self._settings.host!r} refused: {error}.") from error

    def _open(self, folder: str) -> imaplib.IMAP4:
        settings = self._settings
        if self._connection is None:
            if settings.tls == "implicit":
                self._connection = imaplib.IMAP4_SSL(
                    settings.host, settings.port, ssl_context=ssl.create_default_context(), timeout=settings.timeout_s
                )
            else:
                self._connection = imaplib.IMAP4(settings.host, settings.port, timeout=settings.timeout_s)
                if settings.tls == "starttls":
                    self._connection.starttls(ssl.create_default_context())
            self._connection.login(settings.user, settings.password.get_secret_value())
            self._selected = ""
        if self._selected != folder:
            status, answer = self._connection.select(f'"{folder}"', readonly=True)
            if status != "OK":
                raise imaplib.IMAP4.error(f"folder {folder!r}: {answer!r}")
            self._selected = folder
            _, answer = self._connection.response("UIDVALIDITY")
            self._validity = (answer[0] or b"0").decode() if answer else "0"
        return self._connection

    def _list(self, folder: str) -> Iterator[SourceItem]:
        connection = self._open(folder)
        since = ""
        if self._settings.days:
            since = f"SINCE {datetime.now(UTC) - timedelta(days=self._settings.days):%d-%b-%Y}"
        _, found = connection.uid("SEARCH", f"UNDELETED {since}".strip())
        uids = (found[0] or b"").split() if found else []
        for start in range(0, len(uids), _BATCH):
            batch = b",".join(uids[start : start + _BATCH]).decode()
            _, lines = connection.uid("FETCH", batch, "(UID RFC822.SIZE INTERNALDATE)")
            for line in lines:
                if isinstance(line, bytes) and (uid := _LINE.search(line)):
                    yield self._item(folder, self._validity, uid[1].decode(), line)

    def _item(self, folder: str, validity: str, uid: str, line: bytes) -> SourceItem:
        size, date = _SIZE.search(line), _DATE.search(line)
        settings = self._settings
        return SourceItem(
            source=settings.name,
            document=f"{folder}/{uid}.eml",
            uri=f"imap://{settings.host}/{quote(settings.user)}/{quote(folder)};UIDVALIDITY={validity}/;UID={uid}",
            fingerprint=f"{validity}:{uid}",
            size_bytes=int(size[1]) if size else 0,
            modified=_moment(date[1].decode()) if date else None,
            access=settings.access,
            tags=settings.tags,
            region=settings.region,
        )

    def _fetch(self, folder: str, uid: str) -> bytes:
        _, lines = self._open(folder).uid("FETCH", uid, "(BODY.PEEK[])")
        for line in lines:
            if isinstance(line, tuple):
                return line[1]
        raise ToolFault("The message is not there any more.", retryable=True)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.logout()
            except (OSError, imaplib.IMAP4.error):
                connection.shutdown()


def _moment(value: str) -> datetime | None:
    try:
        return datetime.strptime(value.strip(), "%d-%b-%Y %H:%M:%S %z")
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
