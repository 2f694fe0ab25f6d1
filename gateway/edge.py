"""What happens to every request, outermost first: an id, a size limit, metrics, and an answer whatever goes wrong."""

import secrets
import time
from collections.abc import Mapping

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import INTERNAL, Fault, fault_of
from gateway.metrics import Metrics
from signalbox.errors import SignalboxError, TooLarge, UserFault

_log = structlog.get_logger(__name__)
_UNROUTED = "(none)"


class Edge:
    """Pure ASGI; nothing raised below it reaches the server, and no error leaves without our shape."""

    def __init__(
        self, app: ASGIApp, *, max_body_bytes: int, metrics: Metrics, larger: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._larger = larger or {}
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], self._max_body_bytes)
        exchange = _Exchange(scope, receive, send, limit)
        began = time.perf_counter()
        structlog.contextvars.bind_contextvars(request_id=exchange.request_id)  # uvicorn: a context each
        try:
            exchange.check()
            await self._app(scope, exchange.receive, exchange.send)
        except SignalboxError as error:
            await exchange.fail(fault_of(error))
        except ClientDisconnect:  # it left while it still sent its body
            _log.debug("request.abandoned", path=scope["path"])
        except Exception:  # noqa: BLE001 - the root of a request
            _log.exception("request.crashed", path=scope["path"])
            await exchange.fail(INTERNAL)
        route = getattr(scope.get("route"), "path", _UNROUTED)
        seconds = time.perf_counter() - began
        self._metrics.request(route, scope["method"], exchange.status, seconds)
        _log.debug("request", method=scope["method"], route=route, status=exchange.status, ms=round(seconds * 1000, 1))


class _Exchange:
    """One request with its id and its limits."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body_bytes: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._max_body_bytes = max_body_bytes
        self._received = 0
        self.request_id = f"req_{secrets.token_hex(12)}"
        self.status = 0

    def check(self) -> None:
        if "\x00" in self._scope["path"]:
            raise UserFault("The address holds a NUL character.")
        for name, value in self._scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._max_body_bytes:
                raise self._too_large()

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_body_bytes:
                raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            ours = ((b"x-request-id", self.request_id.encode()), (b"x-content-type-options", b"nosniff"))
            message["headers"] = [*message.get("headers", ()), *ours]
        await self._send(message)

    async def fail(self, fault: Fault) -> None:
        if self.status:  # the answer has begun: the only honest thing left is to break it off
            raise ConnectionAbortedError(fault.message)
        await fault.response()(self._scope, self.receive, self.send)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The request body is larger than {self._max_body_bytes} bytes.",
            hint="Send less, or have the limit raised in the settings.",
        )
