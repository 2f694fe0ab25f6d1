"""A scripted OpenAI-compatible model server on 127.0.0.1, for tests and benchmarks.

It does what its `Script` says: answer, be slow, hang, refuse, crash, lie or send nonsense. It records every
request, and every request whose client went away before the reply was complete.

    async with Peer(Script(pieces=("Hel", "lo"))) as peer:
        ...  # base_url = peer.url
        assert peer.requests[-1].body["stream"] is True
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import web

_ERROR = {"error": {"message": "the engine died", "type": "InternalServerError", "code": 500}}

Phase = Literal["head", "first", "middle", "never"]


@dataclass(frozen=True)
class Script:
    """What the peer does with one request."""

    pieces: Sequence[str] = ("Hello", " from", " the", " peer.")
    reasoning: Sequence[str] = ()
    reasoning_field: str = "reasoning"
    calls: Sequence[tuple[str, str]] = ()  # (tool, arguments as raw JSON)
    finish_reason: str | None = None
    usage: Mapping[str, Any] | Literal["honest"] | None = "honest"
    prompt_tokens: int = 11
    status: int = 200
    message: str = "refused by the script"
    headers: Mapping[str, str] = field(default_factory=dict)
    head_s: float = 0
    first_token_s: float = 0
    between_s: float = 0
    hang: Phase = "never"
    crash: Phase = "never"
    keep_alive_s: float | None = None  # while hanging, a comment this often
    cut_bytes: int | None = None  # split the stream into writes of this size
    line_end: str = "\n"
    done: bool = True
    raw: bytes | None = None  # the whole body of the reply, as is
    error_after: int | None = None  # an error event after so many pieces

    @property
    def finish(self) -> str:
        return self.finish_reason or ("tool_calls" if self.calls else "stop")

    @property
    def counted(self) -> dict[str, Any] | None:
        if self.usage != "honest":
            return None if self.usage is None else dict(self.usage)
        tokens = len(self.pieces) + len(self.reasoning) + len(self.calls)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": self.prompt_tokens + tokens,
        }


@dataclass
class Recorded:
    """One request as the peer saw it."""

    path: str
    headers: Mapping[str, str]
    body: Any
    disconnected: bool = False
    finished: bool = False


Scripts = Script | Callable[[Any], Script]


class Peer:
    """The server. `script` may be replaced at any time; a function gets the request's body."""

    def __init__(self, script: Scripts = Script(), *, models: Sequence[str] = ("test-model",)) -> None:
        self.script: Scripts = script
        self.models = list(models)
        self.healthy = True
        self.api_key: str | None = None
        self.prediction: bytes | None = None  # instead of the honest reply to anything but chat
        self.requests: list[Recorded] = []
        self.probes = 0
        self.in_flight = 0
        self.port = 0
        self._tls: ssl.SSLContext | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def disconnects(self) -> int:
        return sum(request.disconnected for request in self.requests)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, *, tls: ssl.SSLContext | None = None) -> Self:
        """Listen: the first time on a free port, then on the same one."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/{path:.*}", self._post)
        self._tls = tls
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Stop as a killed process does: no listener, every connection reset."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        if runner.server is not None:
            for connection in list(runner.server.connections):
                if connection.transport is not None:
                    connection.transport.abort()
        await runner.cleanup()

    async def _health(self, _request: web.Request) -> web.Response:
        self.probes += 1
        return web.Response(status=200 if self.healthy else 503)

    async def _models(self, request: web.Request) -> web.Response:
        if refused := self._unauthorised(request):
            return refused
        return web.json_response({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    def _unauthorised(self, request: web.Request) -> web.Response | None:
        if self.api_key is None or request.headers.get("Authorization") == f"Bearer {self.api_key}":
            return None
        return web.json_response({"error": {"message": "Unauthorized", "type": "invalid_request_error"}}, status=401)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        recorded = Recorded(request.path, request.headers, await request.json())
        self.requests.append(recorded)
        if refused := self._unauthorised(request):
            return refused
        script = self.script(recorded.body) if callable(self.script) else self.script
        self.in_flight += 1
        try:
            reply = await self._reply(request, recorded, script)
            recorded.finished = True
            return reply
        except (asyncio.CancelledError, ConnectionError):
            recorded.disconnected = True
            raise
        finally:
            self.in_flight -= 1

    async def _reply(self, request: web.Request, recorded: Recorded, script: Script) -> web.StreamResponse:
        await asyncio.sleep(script.head_s)
        if script.hang == "head":
            await asyncio.Event().wait()
        if script.crash == "head":
            _abort(request)
        if script.status != 200:
            error = {"error": {"message": script.message, "type": "scripted", "code": script.status}}
            return web.json_response(error, status=script.status, headers=script.headers)
        if recorded.path != "/v1/chat/completions":
            if self.prediction is not None:
                return web.Response(body=self.prediction, content_type="application/json")
            return _prediction(recorded)
        if not recorded.body.get("stream"):
            await asyncio.sleep(script.first_token_s + script.between_s * len(script.pieces))
            if script.raw is not None:
                return web.Response(body=script.raw, content_type="application/json")
            return web.json_response(_completion(script, recorded.body), headers=script.headers)
        return await self._stream(request, recorded.body, script)

    async def _stream(self, request: web.Request, body: Any, script: Script) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **script.headers})
        await response.prepare(request)
        if script.raw is not None:
            await _write(response, script.raw, script)
            if script.crash == "middle":
                _abort(request)
            return response
        await _misbehave(request, response, script, "first")
        await asyncio.sleep(script.first_token_s)
        for position, chunk in enumerate(_chunks(script, body)):
            if position:
                await asyncio.sleep(script.between_s)
            failing = script.error_after == position
            data = f"data: {json.dumps(_ERROR if failing else chunk)}{script.line_end * 2}"
            await _write(response, data.encode(), script)
            if failing:
                return response
            if position == 2:  # the role, then two chunks that carry something
                await _misbehave(request, response, script, "middle")
        if script.done:
            await _write(response, f"data: [DONE]{script.line_end * 2}".encode(), script)
        return response


async def _misbehave(request: web.Request, response: web.StreamResponse, script: Script, phase: Phase) -> None:
    if script.crash == phase:
        _abort(request)
        await asyncio.sleep(1)
    while script.hang == phase:
        await asyncio.sleep(script.keep_alive_s or 60)
        if script.keep_alive_s:
            await response.write(b": keep-alive\n\n")


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("scripted crash")


async def _write(response: web.StreamResponse, data: bytes, script: Script) -> None:
    size = script.cut_bytes or len(data) or 1
    for start in range(0, len(data), size):
        await response.write(data[start : start + size])
        if script.cut_bytes:
            await asyncio.sleep(0)


def _chunks(script: Script, body: Any) -> list[dict[str, Any]]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {
            "id": "chatcmpl-peer",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": body.get("model"),
            "choices": [choice],
        }

    chunks = [chunk({"role": "assistant", "content": ""})]
    chunks += [chunk({script.reasoning_field: piece}) for piece in script.reasoning]
    chunks += [chunk({"content": piece}) for piece in script.pieces if not script.calls or piece]
    for index, (name, arguments) in enumerate(script.calls):
        function = {"name": name, "arguments": ""}
        chunks.append(
            chunk({"tool_calls": [{"index": index, "id": f"c{index}", "type": "function", "function": function}]})
        )
        half = len(arguments) // 2
        for part in (arguments[:half], arguments[half:]):
            chunks.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]}))
    chunks.append(chunk({}, script.finish))
    options = body.get("stream_options") or {}
    if options.get("continuous_usage_stats") and script.usage == "honest":
        for position, each in enumerate(chunks[1:-1], start=1):
            each["usage"] = {"prompt_tokens": script.prompt_tokens, "completion_tokens": position}
    if options.get("include_usage") and script.counted is not None:
        chunks.append({**chunk({}), "choices": [], "usage": script.counted})
    return chunks


def _completion(script: Script, body: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(script.pieces) or None}
    if script.reasoning:
        message[script.reasoning_field] = "".join(script.reasoning)
    if script.calls:
        message["tool_calls"] = [
            {"id": f"c{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(script.calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": script.finish}
    return {
        "id": "chatcmpl-peer",
        "object": "chat.completion",
        "created": 1,
        "model": body.get("model"),
        "choices": [choice],
        "usage": script.counted,
    }


def _prediction(recorded: Recorded) -> web.Response:
    """Deterministic stand-ins: a text's length is its meaning."""
    body = recorded.body
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    if recorded.path == "/v1/embeddings":
        rows = [{"index": i, "embedding": [float(len(text)), 1.0]} for i, text in enumerate(body["input"])]
        return web.json_response({"data": rows[::-1], "usage": usage})
    if recorded.path == "/v1/rerank":
        scores = [(i, len(text) / 100) for i, text in enumerate(body["documents"])]
        ordered = sorted(scores, key=lambda item: -item[1])
        return web.json_response({"results": [{"index": i, "relevance_score": s} for i, s in ordered], "usage": usage})
    if recorded.path == "/classify":
        data = [
            {"index": i, "label": "safe", "probs": [0.9, 0.1], "num_classes": 2} for i, _ in enumerate(body["input"])
        ]
        return web.json_response({"data": data, "usage": usage})
    return web.json_response({"error": {"message": f"no such path: {recorded.path}"}}, status=404)
