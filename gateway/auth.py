"""Nobody gets past without a key, except to the few addresses that are named open."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.limits import RateLimit
from signalbox.errors import NotAllowed
from signalbox.identity import Principal

Authenticate = Callable[[Mapping[str, str]], Awaitable[Principal]]
"""Headers (lower-case names) to principal; raises `NotAuthenticated`."""

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/.well-known/agent-card.json"})
ADMIN_SCOPE = "admin"
_LOOPBACK = frozenset({"127.0.0.1", "::1"})


class Authentication:
    """Pure ASGI: default deny. The principal is in `scope["state"]["principal"]` for everything below."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticate: Authenticate,
        rate: RateLimit,
        open_paths: frozenset[str] = OPEN_PATHS,
        loopback_paths: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._authenticate = authenticate
        self._rate = rate
        self._open_paths = open_paths
        self._loopback_paths = loopback_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_open(scope):
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            principal = await self._authenticate(headers)
            self._rate.check(principal)
            scope.setdefault("state", {})["principal"] = principal
        elif scope["type"] == "websocket":
            raise NotAllowed("There are no web sockets here.")
        await self._app(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        if scope["path"] in self._open_paths:
            return True
        client = scope.get("client")
        return scope["path"] in self._loopback_paths and client is not None and client[0] in _LOOPBACK


def principal_of(connection: HTTPConnection) -> Principal:
    """Who makes this request."""
    return connection.scope["state"]["principal"]


def require_scope(principal: Principal, scope: str) -> None:
    """Raise `NotAllowed` unless the principal holds the scope."""
    if scope not in principal.scopes:
        raise NotAllowed(f"This needs the scope {scope!r}.", hint="Use a key that has it.")
