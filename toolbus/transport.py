"""The two ways to an MCP server, with what the SDK's transports leave out.

stdio: the child's stderr becomes log events, and the end of its stdout is noticed at once, not by the next call.
HTTP: our own headers, no redirects (they would carry the headers to a stranger), no proxy settings from outside.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any

import httpx2
import structlog
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from toolbus.settings import ServerSpec

_log = structlog.get_logger(__name__)
_MAX_LOG_LINE = 2000
_STDERR_BUFFER = 64 * 1024
_PARTING_S = 2.0

Streams = tuple[Any, Any]


def open_transport(spec: ServerSpec, on_lost: Callable[[], None]) -> AbstractAsyncContextManager[Streams]:
    """The transport for one connection; `on_lost` is called when the far end goes away by itself."""
    return _stdio(spec, on_lost) if spec.transport == "stdio" else _http(spec, on_lost)


@asynccontextmanager
async def _stdio(spec: ServerSpec, on_lost: Callable[[], None]) -> AsyncIterator[Streams]:
    parameters = StdioServerParameters(
        command=spec.command,
        args=list(spec.args),
        env={name: value.get_secret_value() for name, value in spec.env.items()},
        cwd=spec.cwd,
        encoding_error_handler="replace",
    )
    read_end, write_end = os.pipe()
    stderr = os.fdopen(write_end, "w", encoding="utf-8")
    log = asyncio.create_task(_log_lines(spec.name, read_end), name=f"stderr of {spec.name}")
    try:
        async with stdio_client(parameters, errlog=stderr) as (reader, writer):
            stderr.close()  # the child holds its own copy; ours would keep the pipe open after its end
            yield _Watched(reader, on_lost), writer
    finally:
        stderr.close()
        log.cancel()
        await asyncio.wait([log])


@asynccontextmanager
async def _http(spec: ServerSpec, on_lost: Callable[[], None]) -> AsyncIterator[Streams]:
    headers = {name: value.get_secret_value() for name, value in spec.headers.items()}
    # Reads may be silent for as long as a call may take; the call's own deadline ends it.
    timeout = httpx2.Timeout(10, read=None)
    async with (
        httpx2.AsyncClient(
            headers=headers,
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
            event_hooks={"request": [_part_soon]},
        ) as client,
        streamable_http_client(spec.url, http_client=client) as (reader, writer),
    ):
        yield _Watched(reader, on_lost), writer


async def _part_soon(request: httpx2.Request) -> None:
    # The SDK ends its session with a DELETE on the way out, where no call's deadline counts any more.
    if request.method == "DELETE":
        request.extensions["timeout"] = httpx2.Timeout(_PARTING_S).as_dict()


class _Watched:
    """A stream of messages that says when it has ended."""

    def __init__(self, stream: Any, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> "_Watched":
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.__aexit__(kind, error, trace)

    def __aiter__(self) -> "_Watched":
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._on_end()
            raise


async def _log_lines(server: str, descriptor: int) -> None:
    reader = asyncio.StreamReader(limit=_STDERR_BUFFER)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        while True:
            try:
                line = await reader.readline()
            except ValueError:  # a line longer than the buffer: what fits was dropped, go on
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            if text:
                _log.info("mcp.server.stderr", server=server, line=text[:_MAX_LOG_LINE])
    finally:
        transport.close()
