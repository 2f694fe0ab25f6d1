"""One connection to one MCP server, entered and exited by the task that owns it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from mcp import Client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp.types import Tool, ToolListChangedNotification

from toolbus.settings import ServerSpec, ToolBusSettings
from toolbus.sources import DeclaredTool
from toolbus.transport import open_transport

_log = structlog.get_logger(__name__)
_MAX_PAGES = 100


class Connection:
    """A client and the signals about it. Everything but `client` calls happens in the owner's task."""

    def __init__(self, spec: ServerSpec, settings: ToolBusSettings) -> None:
        self._spec = spec
        self._settings = settings
        self._wake = asyncio.Event()
        self._changed = False
        self._stopping = False
        self.lost = ""
        self.client: Client | None = None

    @property
    def usable(self) -> bool:
        """Whether a call may be made on it."""
        return self.client is not None and not self.lost and not self._stopping

    def lose(self, reason: str) -> None:
        """The far end is gone; may be called from anywhere, first reason wins."""
        self.lost = self.lost or reason
        self._wake.set()

    def stop(self) -> None:
        """Ask the owner to leave."""
        self._stopping = True
        self._wake.set()

    async def serve(self, on_tools: Callable[[Sequence[DeclaredTool]], None]) -> None:
        """Connect, report every listing of tools, and stay until the far end is lost or `stop` is called.

        Raises whatever kept it from connecting or ended it. Leaving is bounded too, whatever the far end does.
        """
        transport = open_transport(self._spec, lambda: self.lose("the connection ended"))
        client = Client(
            transport,  # pyright: ignore[reportArgumentType] - structurally a Transport
            read_timeout_seconds=self._settings.handshake_timeout_s,
            message_handler=self._on_message,
            cache=None,  # the listing is kept here, and renewed by the server's own notifications
        )
        deadline = asyncio.timeout(self._settings.handshake_timeout_s)
        # One that has passed cancels once: the way out after it needs another.
        leaving = asyncio.timeout(self._settings.handshake_timeout_s + self._settings.shutdown_timeout_s)
        async with leaving, deadline, client:
            tools = await self._list(client)
            deadline.reschedule(None)
            leaving.reschedule(None)
            self.client = client
            on_tools(tools)
            listener = asyncio.create_task(self._listen(client), name=f"tool list of {self._spec.name}")
            try:
                await self._until_over(client, on_tools)
            finally:
                self.client = None
                leaving.reschedule(asyncio.get_running_loop().time() + self._settings.shutdown_timeout_s)
                listener.cancel()
                await asyncio.wait([listener])

    async def _until_over(self, client: Client, on_tools: Callable[[Sequence[DeclaredTool]], None]) -> None:
        while not self._stopping and not self.lost:
            if self._changed:
                self._changed = False
                on_tools(await self._list(client))
                continue
            self._wake.clear()
            await self._wake.wait()

    async def _on_message(self, message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._note_change()

    def _note_change(self) -> None:
        self._changed = True
        self._wake.set()

    async def _listen(self, client: Client) -> None:
        # 2026-07-28 servers tell about changes only on a stream that we ask for; older ones just tell.
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._note_change()
        except ListenNotSupportedError:
            return
        except SubscriptionLost as error:
            if self._spec.transport == "http":
                self.lose("the connection ended")
            _log.debug("mcp.listen_lost", server=self._spec.name, error=str(error))
        except (MCPError, TimeoutError) as error:
            _log.debug("mcp.listen_refused", server=self._spec.name, error=str(error))

    async def _list(self, client: Client) -> list[DeclaredTool]:
        tools: list[DeclaredTool] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools += [_declared(tool) for tool in page.tools]
            cursor = page.next_cursor
            if not cursor or len(tools) > self._settings.max_tools_per_server:
                break
        return tools


def _declared(tool: Tool) -> DeclaredTool:
    # Hints that are missing mean the worst: it writes, it destroys, it must not be repeated.
    hints = tool.annotations
    read_only = bool(hints and hints.read_only_hint)
    return DeclaredTool(
        name=tool.name,
        description=tool.description or tool.title or "",
        input_schema=dict(tool.input_schema),
        output_schema=dict(tool.output_schema) if tool.output_schema else None,
        read_only=read_only,
        destructive=not read_only and not (hints and hints.destructive_hint is False),
        idempotent=read_only or bool(hints and hints.idempotent_hint),
    )
