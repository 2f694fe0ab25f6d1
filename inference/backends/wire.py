"""HTTP/1.1 to one model server: what calls to models need of it, and nothing else (docs/decisions/0010).

A request has a body of known size and gets one reply, whose body is read in pieces as they come. Connections are kept
and used again. There are no redirects, cookies, proxies or compressed bodies. Whoever sends holds the time limits.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httptools

# uvicorn, and so vLLM, closes idle connections after 5 s: reusing one at that moment would fail a call.
_KEEPALIVE_S = 4
_CLOSE_S = 1
_MOST_HEAD_BYTES = 64 * 1024
_MOST_HELD_BYTES = 256 * 1024
_WITHOUT_BODY = (204, 304)

Tls = ssl.SSLContext | bool


class WireFault(ConnectionError):
    """The server broke off, or what it sends is not HTTP."""


class Reply:
    """One reply. Always `release` it, or `close` it, which ends the request; both may be called again."""

    __slots__ = ("_connection", "_ended", "_fault", "_headers", "_held", "_pieces", "_reusable", "_waiter", "status")

    def __init__(self, connection: "_Connection") -> None:
        self.status = 0
        self._connection: _Connection | None = connection
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._held = 0
        self._ended = False
        self._reusable = False
        self._fault: WireFault | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def at_end(self) -> bool:
        """Whether the whole body has been read."""
        return self._ended and not self._pieces

    def header(self, name: str) -> str | None:
        """A header by its name in lower case."""
        wanted = name.encode()
        return next((value.decode("latin-1") for key, value in self._headers if key == wanted), None)

    async def head(self) -> None:
        """Wait for the status; raises `WireFault`."""
        while not self.status:
            await self._more()

    async def read(self) -> bytes:
        """What has come since the last time, at least something; empty at the end. Raises `WireFault`."""
        while not self._pieces:
            if self._ended:
                return b""
            await self._more()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        if self._held > _MOST_HELD_BYTES and self._connection is not None:
            self._connection.resume()
        self._held = 0
        return data

    def release(self) -> None:
        """Read to its end, the connection serves again; otherwise it is closed."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self.at_end and self._reusable:
            connection.keep()
        else:
            connection.abort()

    def close(self) -> None:
        """End the request now, whatever it is doing; whoever reads gets a `WireFault`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            self.failed("the request was closed")

    def began(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head is here."""
        self.status = status
        self._headers = headers
        self._wake()

    def came(self, data: bytes) -> bool:
        """More of the body; False when nobody has read so much that no more should come."""
        self._pieces.append(data)
        self._held += len(data)
        self._wake()
        return self._held <= _MOST_HELD_BYTES

    def ended(self, *, reusable: bool) -> None:
        """The body is whole."""
        self._ended = True
        self._reusable = reusable
        self._wake()

    def failed(self, why: str) -> None:
        """Nothing more will come."""
        if not self._ended and self._fault is None:
            self._fault = WireFault(why)
            self._wake()

    async def _more(self) -> None:
        if self._fault is not None:
            raise self._fault
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Connection(asyncio.Protocol):
    """One connection; one exchange after another. Also what the parser calls."""

    def __init__(self, wire: "Wire", tls: Tls) -> None:
        self.tls = tls
        self.idle_since = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wire = wire
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._reply: Reply | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._until_closed = False

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, data: bytes) -> Reply:
        """Send a whole request; the reply's head is here when this returns."""
        transport = self._transport
        if transport is None:
            raise WireFault("it closed the connection")
        reply = self._reply = Reply(self)
        self._headers, self._head_bytes, self._until_closed = [], 0, False
        transport.write(data)
        try:
            await reply.head()
        except BaseException:
            reply.close()
            raise
        return reply

    def keep(self) -> None:
        """Be there for the next request."""
        self._wire.keep(self)

    def abort(self) -> None:
        """Close it without waiting for anything."""
        if self._transport is not None:
            self._transport.abort()

    def resume(self) -> None:
        """Go on reading."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no asyncio.Transport by its class
        self._wire.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._wire.forget(self)
        self.closed.set_result(None)
        reply, self._reply = self._reply, None
        if reply is None:
            return
        if self._until_closed and exc is None:
            reply.ended(reusable=False)
        else:
            reply.failed("it cut the connection in the middle" if reply.status else "it closed the connection")

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:  # nobody asked for anything
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._reply = None
            self.abort()
            ours = error.__context__
            reply.failed(str(ours) if isinstance(ours, WireFault) else "what it sent is not HTTP")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MOST_HEAD_BYTES:
            raise WireFault("its headers are too large")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status, reply = self._parser.get_status_code(), self._reply
        if status < 200:  # it will go on
            self._headers = []
            return
        if reply is None:
            raise WireFault("it answered what nobody asked")
        names = dict(self._headers)
        if names.get(b"content-encoding", b"identity") != b"identity":
            raise WireFault("its reply is compressed")
        sized = b"content-length" in names or b"transfer-encoding" in names
        self._until_closed = not sized and status not in _WITHOUT_BODY
        reply.began(status, self._headers)

    def on_body(self, body: bytes) -> None:
        if self._reply is not None and not self._reply.came(body) and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            return
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.ended(reusable=self._parser.should_keep_alive())


class Wire:
    """All connections to one server."""

    def __init__(self, base_url: str, *, unix_socket: Path | None, connect_s: float) -> None:
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._socket = unix_socket
        self._connect_s = connect_s
        self._always = f"Host: {parts.netloc.rpartition('@')[2]}\r\nUser-Agent: signalbox\r\nAccept-Encoding: identity"
        self._idle: deque[_Connection] = deque()
        self._all: set[_Connection] = set()
        self._closed = False

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes, tls: Tls) -> Reply:
        """Send a request; the reply's head is here when this returns. Raises `OSError`, of which `WireFault` is one."""
        data = self._head(method, path, headers, len(body)) + body
        connection = self._kept(tls) or await self._connect(tls)
        return await connection.exchange(data)

    async def close(self) -> None:
        """Close every connection, whatever it is doing; later requests fail."""
        self._closed = True
        for connection in tuple(self._all):
            connection.abort()
        if self._all:
            await asyncio.wait([connection.closed for connection in self._all], timeout=_CLOSE_S)

    def keep(self, connection: _Connection) -> None:
        """A connection has done its work."""
        now = connection.idle_since = asyncio.get_running_loop().time()
        idle = self._idle
        idle.append(connection)
        while now - idle[0].idle_since > _KEEPALIVE_S:
            idle.popleft().abort()

    def opened(self, connection: _Connection) -> None:
        """A connection is there."""
        self._all.add(connection)
        if self._closed:
            connection.abort()

    def forget(self, connection: _Connection) -> None:
        """A connection is closed; among the idle ones it is left out when its turn comes."""
        self._all.discard(connection)

    def _kept(self, tls: Tls) -> _Connection | None:
        idle, now = self._idle, asyncio.get_running_loop().time()
        while idle:
            connection = idle.pop()  # the last that was used: the others may grow old
            if connection.usable and connection.tls is tls and now - connection.idle_since < _KEEPALIVE_S:
                return connection
            connection.abort()
        return None

    async def _connect(self, tls: Tls) -> _Connection:
        loop = asyncio.get_running_loop()
        context, name = (tls, self._host) if self._secure else (None, None)

        def made() -> _Connection:
            return _Connection(self, tls)

        if self._socket is not None:
            async with asyncio.timeout(self._connect_s):
                where = str(self._socket)
                _, connection = await loop.create_unix_connection(made, where, ssl=context, server_hostname=name)
                return connection
        last: OSError = WireFault("its name has no address")
        for host in await self._addresses():  # an address that is silent takes no time from the next
            try:
                async with asyncio.timeout(self._connect_s):
                    _, connection = await loop.create_connection(
                        made, host, self._port, ssl=context, server_hostname=name
                    )
                    return connection
            except OSError as error:
                last = error
        raise last

    async def _addresses(self) -> list[str]:
        async with asyncio.timeout(self._connect_s):
            found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        return [str(address[0]) for *_, address in found]

    def _head(self, method: str, path: str, headers: Mapping[str, str], size: int) -> bytes:
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", self._always]
        for name, value in headers.items():
            if "\n" in value or "\r" in value:
                raise ValueError(f"The header {name!r} for the model server holds a line break.")
            lines.append(f"{name}: {value}")
        lines.append(f"Content-Length: {size}\r\n\r\n")
        return "\r\n".join(lines).encode()
