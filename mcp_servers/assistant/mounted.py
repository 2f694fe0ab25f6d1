"""The server on the gateway: streamable HTTP, behind the same authentication as every other surface."""

import contextlib
from collections.abc import AsyncIterator

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/mcp"


class AssistantEndpoint:
    """The ASGI app at `/mcp` (with or without a trailing slash), and the lifespan it needs."""

    def __init__(self, server: MCPServer, *, allowed_hosts: list[str]) -> None:
        self._server = server
        origins = [f"{scheme}://{host}" for host in allowed_hosts for scheme in ("http", "https")]
        security = TransportSecuritySettings(allowed_hosts=allowed_hosts, allowed_origins=origins)
        self._app: ASGIApp = server.streamable_http_app(streamable_http_path=PATH, transport_security=security)

    def routes(self) -> list[BaseRoute]:
        """Both spellings of the path; clients differ."""
        return [Route(path, endpoint=self) for path in (PATH, f"{PATH}/")]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sessions live as long as this context; a mounted app's own lifespan never runs."""
        async with self._server.session_manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "path": PATH, "raw_path": PATH.encode()}, receive, send)
