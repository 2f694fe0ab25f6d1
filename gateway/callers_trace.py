"""The trace that a caller is in, for records that must be found from it, where no span of ours would carry it on."""

from opentelemetry import context as contexts
from opentelemetry import propagate
from starlette.types import ASGIApp, Receive, Scope, Send

_SIGNS = frozenset({b"traceparent", b"baggage"})


class CallersTrace:
    """Pure ASGI: makes what a caller sent the current context. Where spans are recorded FastAPI does it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _SIGNS.isdisjoint(name for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return
        sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        token = contexts.attach(propagate.extract(sent))
        try:
            await self._app(scope, receive, send)
        finally:
            contexts.detach(token)
