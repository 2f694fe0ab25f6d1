"""The server on the gateway: streamable HTTP at `/mcp`, behind the same API keys as every other surface."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import orjson
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_servers.assistant.local import PRINCIPAL_KEY
from signalbox.errors import SignalboxError
from signalbox.identity import Principal

Authenticate = Callable[[Mapping[str, str]], Awaitable[Principal]]


class AssistantEndpoint:
    """The ASGI app to mount at `/mcp`, and the lifespan it needs."""

    def __init__(self, server: MCPServer, authenticate: Authenticate, *, allowed_hosts: list[str]) -> None:
        self._server = server
        security = TransportSecuritySettings(
            allowed_hosts=allowed_hosts,
            allowed_origins=[f"{scheme}://{host}" for host in allowed_hosts for scheme in ("http", "https")],
        )
        # The gateway mounts this app under /mcp and strips the prefix.
        self._app: ASGIApp = server.streamable_http_app(streamable_http_path="/", transport_security=security)
        self._authenticate = authenticate

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sessions live as long as this context; a mounted app's own lifespan never runs."""
        async with self._server.session_manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            principal = await self._authenticate(headers)
        except SignalboxError as error:
            body = orjson.dumps({"error": {"code": error.code, "message": str(error)}})
            reply = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
            await send({"type": "http.response.start", "status": error.status, "headers": reply})
            await send({"type": "http.response.body", "body": body})
            return
        scope.setdefault("state", {})[PRINCIPAL_KEY] = principal
        await self._app(scope, receive, send)
