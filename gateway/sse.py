"""Streamed answers that notice at once when their reader has gone."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.stopping import GONE, GoneWatch, Stop

EVENT_STREAM = "text/event-stream; charset=utf-8"


class ByteStream(Response):
    """Sends what `chunks` yields, one write each; when the client leaves, calls `on_gone` and closes `chunks`."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        on_gone: Callable[[], object] | None = None,
        media_type: str = EVENT_STREAM,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        fixed = {"content-type": media_type, "cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(None, headers={**fixed, **(headers or {})})
        self._chunks = chunks
        self._on_gone = on_gone
        self.raw_headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stop = Stop()
        whole = False
        try:
            with stop:
                async with GoneWatch(receive, lambda: stop(GONE)):
                    await self._pump(send)
                    whole = True
        finally:
            if not whole and self._on_gone is not None:
                self._on_gone()

    async def _pump(self, send: Send) -> None:
        async with contextlib.aclosing(self._chunks):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for chunk in self._chunks:
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
