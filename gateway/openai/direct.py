"""A bare model behind the chat endpoint: the caller's messages, tools and formats; the answer reviewed, nothing kept.

A request that names a conversation, or has a `signalbox` object, or `store: true`, is a turn instead (`chat.py`).
"""

import time
from collections.abc import AsyncGenerator
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from agents.direct_calls import DirectAsk, DirectCall, DirectCalls, DirectReply
from agents.direct_draft import Piece
from gateway.auth import principal_of
from gateway.background import background_of
from gateway.calls import LiveCalls
from gateway.errors import fault_of
from gateway.json_body import parse
from gateway.openai.limits import check_messages
from gateway.openai.models import DirectRequest, direct_extension, usage_of
from gateway.openai.streaming import DONE, KEEPALIVE, completion_id
from gateway.relay import Relay
from gateway.settings import GatewaySettings
from gateway.sse import ByteStream
from gateway.stopping import GONE
from runs.ids import new_run_id
from signalbox.errors import SignalboxError
from signalbox.identity import Principal

_HOLD_S = 1.0
"""A stream's status waits this long for the first words, so that what fails at once is an HTTP error."""


class DirectChat:
    """Answers chat requests from bare models."""

    def __init__(self, calls: DirectCalls, live: LiveCalls, settings: GatewaySettings) -> None:
        self._calls = calls
        self._live = live
        self._settings = settings

    def names(self, principal: Principal) -> tuple[str, ...]:
        """The bare models that this caller may name."""
        return self._calls.names(principal)

    async def complete(self, request: Request, body: dict[str, Any], size: int) -> Response:
        """Make one call and answer with it."""
        chat = parse(DirectRequest, body)
        check_messages(chat.messages, self._settings)
        session = chat.prompt_cache_key or request.headers.get("x-session-id", "")[:200]
        background = background_of(request)
        priority = background.priority if background else 0
        ask = DirectAsk(principal_of(request), chat.model, body, new_run_id(), size, session, priority)
        call = await self._calls.begin(ask)
        if chat.stream:
            usage = bool(chat.stream_options and chat.stream_options.include_usage)
            return await self._stream(ask, call, include_usage=usage)
        return await self._whole(request, ask, call)

    async def _whole(self, request: Request, ask: DirectAsk, call: DirectCall) -> Response:
        piece, stopped = await self._live.until_gone(
            ask.principal, ask.run_id, request.receive, call.complete, call.reply.meter, background=ask.priority > 0
        )
        answer = _completion(ask, call.reply, piece or Piece(), stopped)
        return Response(answer, media_type="application/json", headers={"x-run-id": ask.run_id})

    async def _stream(self, ask: DirectAsk, call: DirectCall, *, include_usage: bool) -> Response:
        relay: Relay[Piece] | None = None

        def stop(reason: str) -> bool:
            return relay is not None and relay.stop(reason)

        ended = self._live.admit(ask.principal, ask.run_id, stop, background=ask.priority > 0)
        relay = Relay(call.stream(), name=f"call {ask.run_id}")
        try:
            first = await relay.next(_HOLD_S)
        except BaseException as error:  # it failed before its first words: a plain HTTP error
            await relay.close()
            ended("failed" if isinstance(error, Exception) else "cancelled", call.reply.meter.usage)
            raise
        writer = DirectWriter(ask, include_usage=include_usage)

        def gone() -> None:  # perhaps before the first chunk: then nothing of `_chunks` has run, nor will
            stop(GONE)
            ended("cancelled", call.reply.meter.usage)

        chunks = self._chunks(writer, relay, first, call, ended)
        return ByteStream(chunks, on_gone=gone, headers={"x-run-id": ask.run_id})

    async def _chunks(
        self, writer: "DirectWriter", relay: Relay[Piece], first: list[Piece] | None, call: DirectCall, ended: Any
    ) -> AsyncGenerator[bytes, None]:
        end = "cancelled"
        try:
            batch, head = first, writer.begin()
            while batch is not None:
                yield head + writer.pieces(batch)
                head = b""
                batch = await relay.next(self._settings.keepalive_s)
            end = "cancelled" if relay.stopped is not None else "finished"
            yield head + writer.end(call.reply, relay.stopped)
        except SignalboxError as error:
            end = "failed"
            yield writer.fault(error)
        finally:
            await relay.close()
            ended(end, call.reply.meter.usage)


class DirectWriter:
    """One stream in OpenAI's chunks; what does not change from chunk to chunk is written once."""

    def __init__(self, ask: DirectAsk, *, include_usage: bool) -> None:
        self._run_id = ask.run_id
        self._include_usage = include_usage
        self._head: dict[str, Any] = {
            "id": completion_id(ask.run_id),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": ask.model,
            "system_fingerprint": None,
        }
        self._before = b"data: " + orjson.dumps(self._head)[:-1] + b',"choices":[{"index":0,"delta":'
        self._after = (
            b',"logprobs":null,"finish_reason":null}]' + (b',"usage":null' if include_usage else b"") + b"}\n\n"
        )

    def begin(self) -> bytes:
        """The chunk that names the role."""
        return self._delta({"role": "assistant", "content": ""})

    def pieces(self, batch: list[Piece]) -> bytes:
        """What came together goes out in one write; a comment when nothing came."""
        if not batch:
            return KEEPALIVE
        out: list[bytes] = []
        if text := "".join(piece.text for piece in batch):
            out.append(self._delta({"content": text}))
        for piece in batch:
            if piece.refusal:
                out.append(self._delta({"refusal": piece.refusal}))
            out += [self._delta({"tool_calls": [call]}) for call in piece.calls]
        return b"".join(out)

    def end(self, reply: DirectReply, stopped: str | None) -> bytes:
        """Why it ended, what it took, and that this is all."""
        reason = "stop" if stopped is not None else reply.finish_reason
        last = {
            **self._head,
            "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}],
            "signalbox": direct_extension(self._run_id, reply, cancelled=stopped),
        }
        if not self._include_usage:
            return _data(last) + DONE
        usage = {**self._head, "choices": [], "usage": usage_of(reply.meter.usage)}
        return _data(last | {"usage": None}) + _data(usage) + DONE

    def fault(self, error: SignalboxError) -> bytes:
        """It broke off after its first words."""
        return _data(fault_of(error).body() | {"signalbox": {"run_id": self._run_id}})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return self._before + orjson.dumps(delta) + self._after


def _completion(ask: DirectAsk, reply: DirectReply, piece: Piece, stopped: str | None) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": piece.text, "refusal": piece.refusal or None}
    if piece.calls:
        message["content"] = piece.text or None
        message["tool_calls"] = [{name: call[name] for name in ("id", "type", "function")} for call in piece.calls]
    reason = "stop" if stopped is not None else reply.finish_reason
    return orjson.dumps(
        {
            "id": completion_id(ask.run_id),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": ask.model,
            "system_fingerprint": None,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
            "usage": usage_of(reply.meter.usage),
            "signalbox": direct_extension(ask.run_id, reply, cancelled=stopped),
        }
    )


def _data(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
