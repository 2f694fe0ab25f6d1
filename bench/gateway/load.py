"""Load: so many connections, each with one request after another, for so long. Every answer is looked at."""

import asyncio
import json
import math
import time
from dataclasses import dataclass, field
from typing import Any

_END = b"0\r\n\r\n"
_DRAIN_S = 30


@dataclass(frozen=True)
class Shot:
    """One request, over and over."""

    host: str
    port: int
    path: str
    body: dict[str, object]
    key: str = ""

    @property
    def streamed(self) -> bool:
        return bool(self.body.get("stream"))

    def raw(self) -> bytes:
        body = json.dumps(self.body).encode()
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"host: {self.host}:{self.port}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *([f"authorization: Bearer {self.key}"] if self.key else []),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Taken:
    """What came back."""

    seconds: float = 0
    whole_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    chunks: int = 0
    bytes: int = 0
    wrong: dict[str, int] = field(default_factory=dict)

    def failed(self, why: str) -> None:
        self.wrong[why] = self.wrong.get(why, 0) + 1


class Client(asyncio.Protocol):
    """One connection; the next request leaves when the answer to the last is whole."""

    def __init__(self, shot: Shot, taken: Taken, until: float, done: "asyncio.Future[None]") -> None:
        self._request = shot.raw()
        self._streamed = shot.streamed
        self._taken = taken
        self._until = until
        self._done = done
        self._transport: Any = None  # uvloop's is no asyncio.Transport
        self._reset()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._taken.failed(f"closed: {exc or 'by the server'}")
            self._done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._taken.bytes += len(data)
        self._held.append(data)
        if self._length is None and not self._chunked:
            self._read_head()
        if self._chunked and self._first is None and b'"content":"' in self._first_words(data):
            self._first = time.perf_counter()
        size = self._size = self._size + len(data)
        if self._chunked:
            if data.endswith(_END) or (len(data) < 5 and b"".join(self._held[-6:]).endswith(_END)):
                self._finish()
        elif self._length is not None and size >= self._length:
            self._finish()

    def _first_words(self, data: bytes) -> bytes:
        # An empty content opens every stream; the words are what is waited for.
        return data.replace(b'"content": "', b'"content":"').replace(b'"content":""', b"")

    def _read_head(self) -> None:
        whole = b"".join(self._held)
        end = whole.find(b"\r\n\r\n")
        if end < 0:
            return
        head = whole[:end].lower()
        if b"transfer-encoding: chunked" in head:
            self._chunked = True
        at = head.find(b"content-length:")
        if at >= 0:
            self._length = end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])

    def _finish(self) -> None:
        now = time.perf_counter()
        answer = b"".join(self._held)
        status = answer[9:12]
        if status != b"200":
            self._taken.failed(f"status {status.decode()}")
        elif self._streamed and b"[DONE]" not in answer:
            self._taken.failed("no end")
        elif b"October" not in answer:
            self._taken.failed("no answer")
        else:
            self._taken.whole_s.append(now - self._sent)
            self._taken.chunks += answer.count(b"data: {")
            if self._first is not None:
                self._taken.first_s.append(self._first - self._sent)
        if now >= self._until:
            self._done.set_result(None)
            self._transport.close()
        else:
            self._send()

    def _send(self) -> None:
        self._reset()
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def _reset(self) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._length: int | None = None
        self._chunked = False
        self._first: float | None = None


async def load(shot: Shot, connections: int, seconds: float) -> Taken:
    """Run it; requests that have left at the end are waited for and count."""
    loop = asyncio.get_running_loop()
    taken = Taken()
    began = time.perf_counter()
    done = [loop.create_future() for _ in range(connections)]
    for each in done:
        await loop.create_connection(lambda each=each: Client(shot, taken, began + seconds, each), shot.host, shot.port)
    _, late = await asyncio.wait(done, timeout=seconds + _DRAIN_S)
    for each in late:
        taken.failed("hung")
        each.set_result(None)
    taken.seconds = time.perf_counter() - began
    return taken


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie; nan of nothing."""
    if not values:
        return math.nan
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
