"""Folders of a mailbox on an IMAP server; nothing there is changed, not even what counts as read."""

import asyncio
import imaplib
import ipaddress
from collections.abc import AsyncIterator, Callable
from typing import TypeVar
from urllib.parse import quote

from knowledge.contracts import SourceItem
from knowledge.sources.imap_session import ImapSession, Listed
from knowledge.sources.settings import ImapSettings
from signalbox.errors import ToolFault, UpstreamDown, UserFault

_T = TypeVar("_T")


class ImapSource:
    """Every message of the given folders; `imaplib` works in a thread, one command at a time."""

    def __init__(self, settings: ImapSettings) -> None:
        if settings.tls == "none" and not _is_loopback(settings.host):
            raise UserFault(
                f"The mailbox {settings.name!r} would be read without TLS.",
                hint="Use tls = 'implicit' or 'starttls'.",
            )
        self._settings = settings
        self._session = ImapSession(settings)
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        """The source's name in the record."""
        return self._settings.name

    async def items(self) -> AsyncIterator[SourceItem]:
        """One item a message; folder, UIDVALIDITY and UID make its identity."""
        for folder in self._settings.folders:
            for message in await self._in_thread(lambda session, folder=folder: session.listed(folder)):
                yield self._item(folder, message)

    async def read(self, item: SourceItem) -> bytes:
        """The message's bytes."""
        folder, _, uid = item.document.removesuffix(".eml").rpartition("/")
        return await self._in_thread(lambda session: session.content(folder, uid))

    async def close(self) -> None:
        """Log out."""
        async with self._lock:
            await asyncio.to_thread(self._session.close)

    async def _in_thread(self, work: Callable[[ImapSession], _T]) -> _T:
        """Run blocking work; a connection that failed, or that nobody waits for any more, is not used again."""
        async with self._lock:
            session = self._session
            try:
                return await asyncio.to_thread(session.run, work)
            except asyncio.CancelledError:  # also how a deadline arrives; the thread is still reading
                self._session = ImapSession(self._settings)
                session.abandon()
                raise
            except (OSError, imaplib.IMAP4.abort) as error:
                await asyncio.to_thread(session.close)
                raise UpstreamDown(f"The mail server {self._settings.host!r} does not answer: {error}.") from error
            except imaplib.IMAP4.error as error:
                await asyncio.to_thread(session.close)
                message = f"The mail server {self._settings.host!r} refused: {error}."
                raise ToolFault(message, retryable=True) from error

    def _item(self, folder: str, message: Listed) -> SourceItem:
        settings = self._settings
        place = f"{quote(folder)};UIDVALIDITY={message.validity}/;UID={message.uid}"
        return SourceItem(
            source=settings.name,
            document=f"{folder}/{message.uid}.eml",
            uri=f"imap://{settings.host}/{quote(settings.user)}/{place}",
            fingerprint=f"{message.validity}:{message.uid}",
            size_bytes=message.size_bytes,
            modified=message.received,
            access=settings.access,
            tags=settings.tags,
            region=settings.region,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
