"""Who calls over A2A: the same API keys as everywhere else, checked before the SDK sees the request."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from a2a.auth.user import User
from a2a.server.routes import DefaultServerCallContextBuilder
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from signalbox.errors import SignalboxError
from signalbox.identity import Principal

Authenticate = Callable[[Mapping[str, str]], Awaitable[Principal]]
"""Headers (lower-case names) to principal; raises `NotAuthenticated`."""

_STATE_KEY = "signalbox_principal"


class AuthenticationGate:
    """Refuses a request without valid credentials, and the wrong content type, before any A2A code runs."""

    def __init__(self, app: ASGIApp, authenticate: Authenticate) -> None:
        self._app = app
        self._authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        media_type = headers.get("content-type", "").split(";")[0].strip()
        if scope["method"] == "POST" and media_type not in ("application/json", "application/a2a+json"):
            await _refuse(send, 415, "invalid_request", "Send application/json or application/a2a+json.")
            return
        try:
            principal = await self._authenticate(headers)
        except SignalboxError as error:
            await _refuse(send, error.status, error.code, str(error))
            return
        scope.setdefault("state", {})[_STATE_KEY] = principal
        await self._app(scope, receive, send)


class PrincipalUser(User):
    """A principal as the SDK sees a user; `user_name` owns tasks, so it names the tenant too."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def user_name(self) -> str:
        return f"{self.principal.tenant}/{self.principal.user}"


class PrincipalContextBuilder(DefaultServerCallContextBuilder):
    """Hands the gate's principal on to the SDK."""

    def build_user(self, request: Request) -> User:
        """The user behind a request that passed the gate."""
        return PrincipalUser(request.scope["state"][_STATE_KEY])


async def _refuse(send: Send, status: int, code: str, message: str) -> None:
    body: dict[str, Any] = {"error": {"code": code, "message": message}}
    headers = [(b"content-type", b"application/json")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(body)})
