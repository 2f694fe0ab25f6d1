"""A model server that costs next to nothing: fixed answers, written by hand into the socket.

    python -m bench.gateway.upstream PORT

Fifty tokens in five sentences. `stream: true` sends one chunk for each; `temperature: 1` means at once, anything else
20 ms apart (a model that thinks is what a gateway waits for most of the time). `seed` is how many milliseconds pass
before the first of them.
"""

import asyncio
import json
import sys
from typing import Any

import uvloop

MODEL = "bench-model"
_WORDS = ("The northern line was late on nine days in October. " * 5).split()
TOKENS = [f"{word} " for word in _WORDS]
BETWEEN_S = 0.02
_USAGE = {"prompt_tokens": 24, "completion_tokens": len(TOKENS), "total_tokens": 24 + len(TOKENS)}


def _head(kind: str) -> dict[str, object]:
    return {"id": "chatcmpl-bench", "object": kind, "created": 1_764_000_000, "model": MODEL}


def _event(choices: list[object], **more: object) -> bytes:
    body = {**_head("chat.completion.chunk"), "choices": choices, **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def _delta(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _json(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


_MESSAGE = {"role": "assistant", "content": "".join(TOKENS).strip()}
_CHOICE = {"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}
WHOLE = _json({**_head("chat.completion"), "choices": [_CHOICE], "usage": _USAGE})
_MODELS = _json({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "bench"}]})
_HEALTH = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FIRST = _framed(_delta({"role": "assistant", "content": ""}))
PIECES = [_framed(_delta({"content": token})) for token in TOKENS]
LAST = _framed(_delta({}, "stop")) + _framed(_event([], usage=_USAGE)) + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Server(asyncio.Protocol):
    """One connection; requests one after another."""

    def __init__(self) -> None:
        self._held = b""
        self._transport: Any = None  # uvloop's is no asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._held) < end + 4 + size:
                return
            body, self._held = self._held[end + 4 : end + 4 + size], self._held[end + 4 + size :]
            self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        if not body:
            self._transport.write(_MODELS if path.endswith(b"/models") else _HEALTH)
            return
        asked = json.loads(body)
        if not asked.get("stream"):
            self._transport.write(WHOLE)
        elif asked.get("temperature") == 1:
            self._transport.write(STREAM_HEAD + FIRST)
            for piece in PIECES:  # one write each, as a server that has them one by one
                self._transport.write(piece)
            self._transport.write(LAST)
        else:
            self._transport.write(STREAM_HEAD + FIRST)
            delay_s = (asked.get("seed") or 0) / 1000
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay_s, self._next, 0, loop.time() + delay_s)

    def _next(self, index: int, started: float) -> None:
        if self._transport.is_closing():
            return
        if index == len(PIECES):
            self._transport.write(LAST)
            return
        self._transport.write(PIECES[index])
        due = started + (index + 1) * BETWEEN_S
        self._timer = asyncio.get_running_loop().call_at(due, self._next, index + 1, started)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
