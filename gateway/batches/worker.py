"""Answers a line by calling its endpoint: the same code, reviewer, audit and refusals as for a person's request."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from agents.direct_calls import DirectCalls
from agents.embedding_calls import EmbeddingCalls
from gateway.background import Background, mark
from gateway.errors import INTERNAL, fault_of
from gateway.metrics import Metrics
from gateway.openai.chat import CHAT_PATH, ChatApi
from gateway.openai.embeddings import EMBEDDINGS_PATH, EmbeddingsApi
from gateway.settings import GatewaySettings
from gateway.turns import Turns
from inference.batch.contracts import Interrupted, Load, Reply
from signalbox.errors import SignalboxError
from signalbox.identity import Principal

Endpoint = Callable[[Request], Awaitable[Response]]
_log = structlog.get_logger(__name__)


def line_endpoints(
    turns: Turns, direct: DirectCalls, embeddings: EmbeddingCalls, settings: GatewaySettings
) -> dict[str, Endpoint]:
    """What lines of a batch may ask: the endpoints that answer people."""
    return {
        CHAT_PATH: ChatApi(turns, direct, settings).complete,
        EMBEDDINGS_PATH: EmbeddingsApi(embeddings, turns.calls, settings).create,
    }


class EndpointWorker:
    """Implements `inference.batch.LineWorker` by the gateway's own endpoints."""

    def __init__(self, endpoints: Mapping[str, Endpoint], load: Load, metrics: Metrics, *, priority: int) -> None:
        self._endpoints = endpoints
        self._load = load
        self._metrics = metrics
        self._background = Background(priority)

    async def answer(self, owner: Principal, endpoint: str, body: dict[str, Any]) -> Reply:
        """What the endpoint says; a run that ended because we are shutting down says nothing."""
        if self._load.draining:
            raise Interrupted
        request_id = f"req_{secrets.token_hex(12)}"
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = await self._call(self._endpoints[endpoint], self._request(owner, endpoint, body))
        if self._load.draining:
            raise Interrupted
        self._metrics.line_answered(response.status_code)
        after = response.headers.get("retry-after")
        return Reply(
            status=response.status_code,
            body=orjson.loads(bytes(response.body)),
            request_id=request_id,
            retry_after_s=float(after) if after else None,
        )

    async def _call(self, endpoint: Endpoint, request: Request) -> Response:
        try:
            return await endpoint(request)
        except SignalboxError as error:
            return fault_of(error).response()
        except Exception:  # noqa: BLE001 - the root of a request
            _log.exception("batch.line_crashed", path=request.scope["path"])
            return INTERNAL.response()

    def _request(self, owner: Principal, endpoint: str, body: dict[str, Any]) -> Request:
        state: dict[str, object] = {"principal": owner}
        mark(state, self._background)
        scope = {
            "type": "http",
            "method": "POST",
            "path": endpoint,
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "state": state,
        }
        sent: Message = {"type": "http.request", "body": orjson.dumps(body), "more_body": False}
        return Request(scope, _receive(sent))


def _receive(first: Message) -> Callable[[], Awaitable[Message]]:
    pending = [first]

    async def receive() -> Message:
        if pending:
            return pending.pop()
        return await asyncio.get_running_loop().create_future()  # its client never leaves before it has its answer

    return receive
