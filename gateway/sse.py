"""Streamed answers that notice at once when their reader has gone."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_WATCH_AFTER_S = 0.05
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
        pump = asyncio.create_task(self._pump(send))
        watch = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({pump, watch}, return_when=asyncio.FIRST_COMPLETED)
            if pump.done():
                pump.result()
        finally:
            if not pump.done() and self._on_gone is not None:
                self._on_gone()
            await _end(pump, watch)

    async def _pump(self, send: Send) -> None:
        async with contextlib.aclosing(self._chunks):
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for chunk in self._chunks:
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextlib.asynccontextmanager
async def gone_watch(receive: Receive, on_gone: Callable[[], object]) -> AsyncIterator[None]:
    """While inside, call `on_gone` as soon as the client disconnects; the watch begins after a moment.

    What is answered within that moment would be done before anything could be stopped, and a task costs.
    """
    task: asyncio.Task[None] | None = None

    async def watch() -> None:
        await _gone(receive)
        on_gone()

    def begin() -> None:
        nonlocal task
        task = asyncio.create_task(watch())

    timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, begin)
    try:
        yield
    finally:
        timer.cancel()
        if task is not None:
            await _end(task)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
