"""`POST /v1/chat/completions` and `GET /v1/models`: one turn, streamed or not."""

import contextlib
import re
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from agents.contracts import TurnRequest
from agents.direct_calls import DirectCalls, ModelNotFound
from gateway.auth import principal_of
from gateway.background import background_of
from gateway.errors import fault_of_run
from gateway.json_body import parse, read_json
from gateway.openai.direct import DirectChat
from gateway.openai.limits import check_count, check_text
from gateway.openai.models import (
    ASSISTANT,
    ChatRequest,
    cancelled_extension,
    extension_of,
    last_user_message,
    model_object,
    usage_of,
)
from gateway.openai.streaming import ChunkWriter, completion_id
from gateway.settings import GatewaySettings
from gateway.sse import ByteStream
from gateway.stopping import GONE, GoneWatch
from gateway.turns import Turns
from inference.settings import DIRECT
from runs.events import TERMINAL, AnswerSegment, RunCancelled, RunEvent, RunFailed, RunFinished, RunStarted, TokenUsage
from runs.ids import new_run_id
from signalbox.errors import Bug, UserFault

Batches = AsyncGenerator[list[RunEvent], None]
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
CHAT_PATH = "/v1/chat/completions"
_HOLD_S = 1.0
"""A stream's status waits this long for the first words, so that what fails at once is an HTTP error."""


class ChatApi:
    """The two routes, with what they need."""

    def __init__(self, turns: Turns, direct: DirectCalls, settings: GatewaySettings) -> None:
        self._turns = turns
        self._direct = DirectChat(direct, turns.calls, settings)
        self._settings = settings
        self.router = APIRouter()
        self.router.add_api_route(CHAT_PATH, self.complete, methods=["POST"], response_model=None)
        self.router.add_api_route("/v1/models", self.models, methods=["GET"])
        self.router.add_api_route("/v1/models/{model:path}", self.model, methods=["GET"])

    async def models(self, request: Request) -> dict[str, Any]:
        """What can be asked: `signalbox` is the whole assistant, the others bare models behind the reviewer."""
        return {"object": "list", "data": [model_object(name) for name in self._names(request)]}

    async def model(self, request: Request, model: str) -> dict[str, Any]:
        """One of them."""
        self._check_model(request, model)
        return model_object(model)

    def _names(self, request: Request) -> tuple[str, ...]:
        return (ASSISTANT, *self._direct.names(principal_of(request)))

    def _check_model(self, request: Request, name: str) -> None:
        if name not in (names := self._names(request)):
            hint = f"Use one of {', '.join(names)}."
            raise ModelNotFound(f"The model {name!r} does not exist.", hint=hint, param="model")

    async def complete(self, request: Request) -> Response:
        """Run one turn, or call one bare model, and answer with it."""
        body = await read_json(request, max_depth=self._settings.max_json_depth)
        if _is_call(request, body):
            return await self._direct.complete(request, body, len(await request.body()))
        chat = parse(ChatRequest, body)
        turn = self._turn(request, chat)
        self._turns.start(turn)
        stop = partial(self._turns.log.stop, turn.run_id, reason=GONE)
        if not chat.stream:
            return await self._whole(request, turn, stop)
        wants_events = bool(chat.signalbox and chat.signalbox.events)
        try:
            first = await self._first(turn.run_id, hold_s=0 if wants_events else _HOLD_S)
        except BaseException:
            stop()
            raise
        if isinstance(first[-1], RunFailed):  # it failed before its first word: a plain HTTP error
            return fault_of_run(first[-1]).response()
        writer = ChunkWriter(
            run_id=turn.run_id,
            model=turn.model,
            include_usage=bool(chat.stream_options and chat.stream_options.include_usage),
            events=wants_events,
        )
        rest: Batches | None = None
        if not isinstance(first[-1], TERMINAL):
            rest = self._turns.log.batches(turn.run_id, after_seq=len(first), idle_s=self._settings.keepalive_s)
        return ByteStream(_chunks(writer, first, rest), on_gone=stop, headers=_headers(turn, _started(first)))

    async def _first(self, run_id: str, *, hold_s: float) -> list[RunEvent]:
        """What there is once the first words (or the end) are there or `hold_s` has passed; never nothing."""
        until = time.monotonic() + hold_s
        found: list[RunEvent] = []
        async with contextlib.aclosing(self._turns.log.batches(run_id, idle_s=_HOLD_S)) as batches:
            async for batch in batches:
                found += batch
                spoken = any(isinstance(event, (AnswerSegment, *TERMINAL)) for event in batch)
                if found and (spoken or time.monotonic() >= until):
                    break
        return found

    def _turn(self, request: Request, chat: ChatRequest) -> TurnRequest:
        self._check_model(request, chat.model)
        if chat.model not in (ASSISTANT, DIRECT):
            told = f"The model {chat.model!r} answers no turn of a conversation."
            raise UserFault(told, hint="Send the messages yourself, or use 'direct'.", param="model")
        check_count(chat.messages, self._settings)
        for index, message in enumerate(chat.messages):
            check_text(message.content, index, self._settings)
        at = last_user_message(chat.messages)
        if at is None or not chat.messages[at].content.strip():
            raise UserFault("There is no user message with text to answer.", param="messages")
        conversation_id = _conversation_id(request, chat)
        background = background_of(request)
        return TurnRequest(
            principal=principal_of(request),
            text=chat.messages[at].content,
            run_id=new_run_id(),
            surface="openai",
            model=chat.model,
            conversation_id=conversation_id,
            context=() if conversation_id else tuple(message.reduced() for message in chat.messages[:at]),
            max_tokens=chat.max_completion_tokens or chat.max_tokens,
            temperature=chat.temperature,
            priority=background.priority if background else 0,
            kept=background is None or conversation_id is not None,
        )

    async def _whole(self, request: Request, turn: TurnRequest, stop: Callable[[], object]) -> Response:
        try:
            async with GoneWatch(request.receive, stop):
                events = await self._turns.log.ended(turn.run_id)
        finally:
            stop()
        last = events[-1]
        match last:
            case RunFailed():
                return fault_of_run(last).response()
            case RunFinished():
                result = last.result
                extension = extension_of(result)
                text, finish, usage = result.text, result.finish_reason, result.usage
            case RunCancelled():
                text = "".join(event.text for event in events if isinstance(event, AnswerSegment))
                extension = cancelled_extension(last, _started(events))
                finish, usage = "stop", TokenUsage()
            case _:
                raise Bug(f"Run {turn.run_id!r} ended with {last.type!r}.")
        message = {"role": "assistant", "content": text, "refusal": None}
        answer = {
            "id": completion_id(turn.run_id),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": turn.model,
            "system_fingerprint": None,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
            "usage": usage_of(usage),
            "signalbox": extension,
        }
        return Response(orjson.dumps(answer), media_type="application/json", headers=_headers(turn, _started(events)))


class ChatDoor:
    """Pure ASGI: answers chat requests before the router looks at them, which would be a third of a call's cost."""

    path = CHAT_PATH  # what measurements call the route

    def __init__(self, app: ASGIApp, *, chat: ChatApi) -> None:
        self._app = app
        self._chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != CHAT_PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = self
        response = await self._chat.complete(Request(scope, receive))
        await response(scope, receive, send)


async def _chunks(writer: ChunkWriter, first: Sequence[RunEvent], rest: Batches | None) -> AsyncGenerator[bytes, None]:
    yield writer.begin() + writer.write(first)
    if rest is not None:
        async with contextlib.aclosing(rest):
            async for batch in rest:
                yield writer.write(batch)


def _started(events: Sequence[RunEvent]) -> str:
    return next((event.conversation_id for event in events if isinstance(event, RunStarted)), "")


def _headers(turn: TurnRequest, conversation_id: str) -> dict[str, str]:
    headers = {"x-run-id": turn.run_id}
    if conversation_id:
        headers["x-conversation-id"] = conversation_id
    return headers


def _conversation_id(request: Request, chat: ChatRequest) -> str | None:
    named = chat.signalbox.conversation_id if chat.signalbox else None
    named = named or (chat.metadata or {}).get("conversation_id") or request.headers.get("x-conversation-id")
    if named is None:
        return None
    if not isinstance(named, str) or _ID.fullmatch(named) is None:
        raise UserFault("A conversation id looks like 'conv_' and 24 hex characters.", param="conversation_id")
    return named


def _is_call(request: Request, body: dict[str, Any]) -> bool:
    """Whether a bare model is called for this answer alone; with a conversation, or to be kept, it is a turn."""
    model = body.get("model")
    if not isinstance(model, str) or model == ASSISTANT or body.get("signalbox") is not None or body.get("store"):
        return False
    metadata = body.get("metadata")
    named = isinstance(metadata, dict) and metadata.get("conversation_id")
    return not named and "x-conversation-id" not in request.headers
