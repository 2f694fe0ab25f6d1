"""An MCP server as a supervised source of tools: kept connected, restarted when it dies, never trusted blindly."""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

import structlog
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult

from mcp_servers.hosting import CALL_META, TOKEN_META, CallMeta
from signalbox.errors import ToolFault, UpstreamDown
from signalbox.identity import TokenMint
from toolbus.connection import Connection
from toolbus.gate import CallGate, NotUp, Unanswered, timed_out
from toolbus.settings import ServerSpec, ToolBusSettings
from toolbus.sources import DeclaredTool, OnListed, SourceCall, SourceResult
from toolbus.tokens import Tokens

_log = structlog.get_logger(__name__)
_TERMINATED = "Session terminated"  # how the SDK spells a 404 for a session of the handshake era
_BEING_MADE = "the connection was lost and is being made anew"
_LET_OUT_S = 0.05
_END_S = 1.0


class McpServerHandle:
    """One server. A task of its own enters and exits every connection, one after another."""

    def __init__(self, spec: ServerSpec, settings: ToolBusSettings, mint: TokenMint | None = None) -> None:
        if spec.ours and mint is None:
            raise ValueError(f"the server {spec.name!r} is ours: a mint is needed to call it")
        self._spec = spec
        self._settings = settings
        self._tokens = Tokens(mint, spec.audience, ttl_s=settings.token_ttl_s) if mint and spec.ours else None
        self._gate = CallGate(spec.name, settings)
        self._connection: Connection | None = None
        self._owner: asyncio.Task[None] | None = None
        self._signal = asyncio.Event()
        self._trouble = "starting"
        self._gives_up_waiting = False
        self._closing = asyncio.Event()
        self._endings: set[asyncio.Task[None]] = set()
        self._restarts = 0

    @property
    def name(self) -> str:
        """The server's name, the first part of its tools' names on the bus."""
        return self._spec.name

    @property
    def ours(self) -> bool:
        """Whether it is part of this release."""
        return self._spec.ours

    @property
    def auto_approve(self) -> bool:
        """Whether its tools enter the catalogue without a review."""
        return self._spec.auto_approve

    @property
    def restarts(self) -> int:
        """How often it had to be connected again."""
        return self._restarts

    @property
    def call_timeout_s(self) -> float | None:
        """The server's own limit for one call, where its specification has one."""
        return self._spec.call_timeout_s

    def is_offering(self) -> bool:
        """Up, or restarting after it died: then a call waits for it. Not while it fails again and again."""
        if self._gate.trouble:
            return False
        return self._up() is not None or not self._gives_up_waiting

    def status(self) -> str:
        """`up`, or what is wrong."""
        if self._up() is None:
            return self._trouble or _BEING_MADE
        return self._gate.trouble or "up"

    async def start(self, on_listed: OnListed) -> None:
        """Begin to supervise; returns when the first attempt to connect has ended, or should have."""
        first = asyncio.get_running_loop().create_future()
        self._owner = asyncio.create_task(self._supervise(on_listed, first), name=f"mcp server {self.name}")
        limit_s = self._settings.handshake_timeout_s + self._settings.shutdown_timeout_s
        await asyncio.wait([first], timeout=limit_s + _END_S)  # the attempt has the same limit, and comes first

    async def close(self) -> None:
        """Disconnect; a stdio server's process has ended when this returns."""
        self._closing.set()
        if self._owner is None:
            return
        if self._endings:
            await asyncio.wait(self._endings, timeout=self._settings.shutdown_timeout_s)
        if self._connection is not None and self._connection.client is not None:
            self._connection.stop()
        else:
            self._owner.cancel()  # it is connecting, or waiting to: there is nothing to take leave of
        _, late = await asyncio.wait([self._owner], timeout=self._settings.shutdown_timeout_s)
        for task in late:
            task.cancel()
            await asyncio.wait([task], timeout=self._settings.shutdown_timeout_s)
        self._announce("stopped", final=True)

    async def call(self, call: SourceCall) -> SourceResult:
        """Make one call within `call.timeout_s`, waits for a slot and for a restart included."""
        return await self._gate.run(call, lambda: self._call_with_replay(call))

    # -- calling

    async def _call_with_replay(self, call: SourceCall) -> SourceResult:
        connection = await self._connected()
        try:
            return await self._send(connection, call)
        except _SessionGone:
            pass  # the server refused before it looked at the call: sending it again is not a repetition
        except _ConnectionGone:
            if not call.replayable:
                raise Unanswered(
                    f"The connection to {self.name!r} was lost during {call.tool!r}; the outcome is unknown.",
                    hint="Check whether it happened before you try again.",
                ) from None
        try:
            return await self._send(await self._connected(), call)
        except (_SessionGone, _ConnectionGone) as error:
            raise UpstreamDown(
                f"The tool server {self.name!r} went away twice during {call.tool!r}.", hint="Answer without it."
            ) from error

    async def _send(self, connection: Connection, call: SourceCall) -> SourceResult:
        client = connection.client
        if client is None:
            raise _ConnectionGone
        try:
            reply = await self._request(client, call)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise _ConnectionGone from error
            if error.error.message == _TERMINATED:
                connection.lose("the session ended")
                raise _SessionGone from error
            if error.code == REQUEST_TIMEOUT:
                raise timed_out(call) from error
            raise ToolFault(f"{self.name!r} refused {call.tool!r}: {error.error.message[:300]}") from error
        except RuntimeError as error:
            # The SDK checks a result against the declared output schema and says so with a RuntimeError.
            raise ToolFault(f"The reply of {call.tool!r} is not what it declares: {str(error)[:300]}") from error
        return _result(reply)

    async def _request(self, client: Client, call: SourceCall) -> CallToolResult:
        meta: dict[str, Any] = {}
        if self._tokens is not None:
            meta[TOKEN_META] = self._tokens.of(call.chain, at_least_s=call.timeout_s)
            meta[CALL_META] = CallMeta(
                call_id=call.call_id,
                run_id=call.run_id,
                idempotency_key=call.idempotency_key,
                dry_run=call.dry_run,
            ).model_dump()
        request = asyncio.ensure_future(
            client.call_tool(
                call.tool,
                call.arguments,
                # The gate's deadline comes first: at its own the SDK tells the server too, but our cancelling at the
                # same moment would cut that short.
                read_timeout_seconds=call.timeout_s + _END_S,
                progress_callback=call.on_progress,
                meta=meta or None,  # pyright: ignore[reportArgumentType] - a TypedDict that allows extra keys
            )
        )
        began = time.monotonic()
        try:
            return await asyncio.shield(request)
        finally:
            if not request.done():
                ending = asyncio.create_task(_end(request, began), name=f"end of a call of {self.name}")
                self._endings.add(ending)
                ending.add_done_callback(self._endings.discard)
                await asyncio.shield(
                    ending
                )  # who cancels us twice waits no longer, and the server is told all the same

    # -- the connection's life

    def _up(self) -> Connection | None:
        connection = self._connection
        return connection if connection is not None and connection.usable else None

    async def _connected(self) -> Connection:
        try:
            async with asyncio.timeout(self._settings.reconnect_wait_s):
                while (connection := self._up()) is None:
                    if self._gives_up_waiting:
                        raise self._down()
                    await self._signal.wait()
                return connection
        except TimeoutError:
            raise self._down() from None

    def _down(self) -> UpstreamDown:
        return NotUp(
            f"The tool server {self.name!r} is not available: {self.status()}.",
            hint="Answer without it, or try again later.",
        )

    async def _supervise(self, on_listed: OnListed, first: asyncio.Future[None]) -> None:
        failures = 0
        while not self._closing.is_set():
            started = time.monotonic()
            trouble = await self._live_once(on_listed, first)
            if not first.done():
                first.set_result(None)
            if self._closing.is_set():
                return
            was_up = trouble == ""
            stable = was_up and time.monotonic() - started > self._settings.stable_after_s
            failures = 0 if stable else failures + 1
            # A server that just died is awaited by callers; one that does not come back is not.
            self._announce(trouble or "it ended and is being restarted", final=failures > 2 or not was_up)
            self._restarts += 1
            await self._pause(0 if failures <= 1 and was_up else failures - 1)

    async def _live_once(self, on_listed: OnListed, first: asyncio.Future[None]) -> str:
        connection = Connection(self._spec, self._settings)
        self._connection = connection
        came_up = False

        def listed(tools: Sequence[DeclaredTool]) -> None:
            nonlocal came_up
            on_listed(self, tools)
            if not came_up:
                came_up = True
                _log.info("mcp.server.up", server=self.name, tools=len(tools), restarts=self._restarts)
                self._announce("", final=False)
                if not first.done():
                    first.set_result(None)

        try:
            await connection.serve(listed)
        except asyncio.CancelledError:
            connection.lose("stopped")
            if self._closing.is_set() or _cancelled_from_outside():
                raise
            reason = "the connection was torn down"
        except Exception as error:  # noqa: BLE001 - the root of this connection: whatever ended it, it is restarted
            reason = (came_up and connection.lost) or _describe(error, self._settings)
        else:
            reason = connection.lost
        connection.lose(reason)
        if not self._closing.is_set():
            _log.warning("mcp.server.down", server=self.name, reason=reason, was_up=came_up)
        return "" if came_up else reason

    async def _pause(self, failures: int) -> None:
        if failures == 0:
            return
        backoff_s = min(self._settings.restart_backoff_s * 2 ** (failures - 1), self._settings.restart_backoff_max_s)
        try:
            async with asyncio.timeout(backoff_s * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter
                await self._closing.wait()
        except TimeoutError:
            return

    def _announce(self, trouble: str, *, final: bool) -> None:
        self._trouble = trouble
        self._gives_up_waiting = final
        self._signal.set()
        self._signal = asyncio.Event()


class _ConnectionGone(Exception):
    """The connection broke while the call was under way."""


class _SessionGone(Exception):
    """The server no longer knows our session, and so did nothing."""


async def _end(request: "asyncio.Future[CallToolResult]", began: float) -> None:
    """Cancel a request, at the server too.

    mcp 2.3 says nothing to the server when it is cancelled while it hands the request to the transport, and the
    request may be on its way all the same. So a young request is let out first, then cancelled.
    """
    rest_s = _LET_OUT_S - (time.monotonic() - began)
    if rest_s > 0:
        await asyncio.wait([request], timeout=rest_s)
    request.cancel()
    await asyncio.wait([request], timeout=_END_S)


def _cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _describe(error: BaseException, settings: ToolBusSettings) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return f"it did not complete the handshake within {settings.handshake_timeout_s:g} s"
    if isinstance(error, FileNotFoundError):
        return f"its command or folder does not exist ({error.filename})"
    if isinstance(error, MCPError):
        return f"it ended or refused the handshake ({error.error.message[:200]})"
    return f"{type(error).__name__}: {str(error)[:200]}"


def _result(reply: CallToolResult) -> SourceResult:
    parts: list[str] = []
    for block in reply.content:
        if block.type == "text":
            parts.append(block.text)
        elif block.type == "resource" and hasattr(block.resource, "text"):
            parts.append(block.resource.text)  # pyright: ignore[reportAttributeAccessIssue]
        elif block.type == "resource_link":
            parts.append(f"[link: {block.name} {block.uri}]")
        else:
            parts.append(f"[{block.type} content is not passed on]")
    return SourceResult(text="\n".join(parts), structured=reply.structured_content, is_error=bool(reply.is_error))
