"""Who calls over A2A: whoever the gateway's authentication found, which every route of the app stands behind."""

from a2a.auth.user import User
from a2a.server.routes import DefaultServerCallContextBuilder
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from signalbox.errors import NotAuthenticated
from signalbox.identity import Principal

_MEDIA_TYPES = frozenset({"application/json", "application/a2a+json"})


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
    """Hands the authenticated principal (`scope["state"]["principal"]`) on to the SDK."""

    def build_user(self, request: Request) -> User:
        """The user behind an authenticated request; raises `NotAuthenticated` where nobody authenticated it."""
        principal = request.scope.get("state", {}).get("principal")
        if not isinstance(principal, Principal):
            raise NotAuthenticated("This A2A request carries no principal.", hint="Send a Signalbox API key.")
        return PrincipalUser(principal)


class JsonOnly:
    """Refuses bodies that are not JSON with 415; the SDK would parse them anyway (A2A 1.0 §9.1)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            given = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1").split(";")[0].strip().lower()
            if given not in _MEDIA_TYPES:
                message = "Send application/json or application/a2a+json."
                refusal = JSONResponse({"error": {"code": "invalid_request", "message": message}}, status_code=415)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
