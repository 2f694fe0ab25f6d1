"""One connection to an IMAP server, used from one thread at a time: opened when needed, given up for good when asked.

`imaplib` reads the next answer for the answer to the last command. So a connection that somebody stopped waiting for is
never used again: what it still has to say belongs to a question that nobody asks any more.
"""

import contextlib
import imaplib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from knowledge.sources.settings import ImapSettings
from signalbox.errors import ToolFault

_T = TypeVar("_T")
_BATCH = 200
_LINE = re.compile(rb"UID (\d+)")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')


@dataclass(frozen=True, slots=True)
class Listed:
    """A message as the server lists it; `validity` is the UIDVALIDITY of its folder."""

    uid: str
    validity: str
    size_bytes: int
    received: datetime | None


class ImapSession:
    """Its methods block and raise `OSError` and `imaplib.IMAP4.error`."""

    def __init__(self, settings: ImapSettings) -> None:
        self._settings = settings
        self._connection: imaplib.IMAP4 | None = None
        self._selected = ""
        self._validity = "0"
        self._lock = threading.Lock()
        self._busy = False
        self._abandoned = False

    def run(self, work: Callable[["ImapSession"], _T]) -> _T:
        """Do some work with this session; if it was abandoned meanwhile, its connection is closed at the end."""
        with self._lock:
            self._busy = True
        try:
            return work(self)
        finally:
            with self._lock:
                self._busy = False
                abandoned = self._abandoned
            if abandoned:
                self._hang_up()

    def abandon(self) -> None:
        """From another thread, without waiting: the connection answers nothing more, and no new one is opened."""
        with self._lock:
            self._abandoned = True
            if self._busy and self._connection is not None:
                with contextlib.suppress(OSError):  # it is closed already
                    # Not by its own method: TLS would say goodbye first, and the reading thread has the lock for that.
                    socket.socket.shutdown(self._connection.socket(), socket.SHUT_RDWR)
                return
        self._hang_up()

    def close(self) -> None:
        """Log out; the next command opens a new connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.logout()
            except (OSError, imaplib.IMAP4.error):
                connection.shutdown()

    def listed(self, folder: str) -> list[Listed]:
        """The messages of a folder that are not deleted."""
        connection = self._open(folder)
        since = ""
        if self._settings.days:
            since = f" SINCE {datetime.now(UTC) - timedelta(days=self._settings.days):%d-%b-%Y}"
        found = _accepted(connection.uid("SEARCH", f"UNDELETED{since}"), f"the search in {folder!r}")
        uids = (found[0] or b"").split() if found else []
        messages = []
        for start in range(0, len(uids), _BATCH):
            batch = b",".join(uids[start : start + _BATCH]).decode()
            answer = connection.uid("FETCH", batch, "(UID RFC822.SIZE INTERNALDATE)")
            for line in _accepted(answer, f"the list of {folder!r}"):
                if isinstance(line, bytes) and (uid := _LINE.search(line)):
                    messages.append(self._message(uid[1].decode(), line))
        return messages

    def content(self, folder: str, uid: str) -> bytes:
        """A message's bytes, without marking it as read."""
        answer = self._open(folder).uid("FETCH", uid, "(BODY.PEEK[])")
        for line in _accepted(answer, f"message {uid} of {folder!r}"):
            if isinstance(line, tuple):
                return line[1]
        raise ToolFault("The message is not there any more.", retryable=True)

    def _message(self, uid: str, line: bytes) -> Listed:
        size, date = _SIZE.search(line), _DATE.search(line)
        return Listed(
            uid=uid,
            validity=self._validity,
            size_bytes=int(size[1]) if size else 0,
            received=_moment(date[1].decode()) if date else None,
        )

    def _open(self, folder: str) -> imaplib.IMAP4:
        connection = self._connection or self._connect()
        if self._selected != folder:
            _accepted(connection.select(f'"{folder}"', readonly=True), f"folder {folder!r}")
            self._selected = folder
            _, answer = connection.response("UIDVALIDITY")
            self._validity = (answer[0] or b"0").decode() if answer else "0"
        return connection

    def _connect(self) -> imaplib.IMAP4:
        settings = self._settings
        if settings.tls == "implicit":
            connection: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                settings.host, settings.port, ssl_context=ssl.create_default_context(), timeout=settings.timeout_s
            )
        else:
            connection = imaplib.IMAP4(settings.host, settings.port, timeout=settings.timeout_s)
        with self._lock:
            self._connection, self._selected = connection, ""
            if self._abandoned:
                raise imaplib.IMAP4.abort("nobody waits for it any more")
        if settings.tls == "starttls":
            connection.starttls(ssl.create_default_context())
        connection.login(settings.user, settings.password.get_secret_value())
        return connection

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.shutdown()


def _accepted(answer: tuple[str, list], what: str) -> list:
    """What the server says to a command; a refusal is not an empty answer."""
    status, lines = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"{what}: {lines!r}")
    return lines


def _moment(value: str) -> datetime | None:
    try:
        return datetime.strptime(value.strip(), "%d-%b-%Y %H:%M:%S %z")
    except ValueError:
        return None
