"""How a server of ours is started and how it learns who asks.

The supervisor hands over one `ServerConfig` as JSON in the environment; the server's own settings are inside.
Every `tools/call` carries a token minted for this server in `_meta` (`TOKEN_META`), on stdio and on HTTP alike.
"""

import hmac
import json
import os
from typing import Any, Generic, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import BaseModel, ConfigDict, SecretStr
from pydantic_core import to_jsonable_python
from starlette.types import ASGIApp, Receive, Scope, Send

from signalbox.errors import NotAuthenticated
from signalbox.identity import Chain, verify_token

CONFIG_ENV = "SIGNALBOX_SERVER_CONFIG"
TOKEN_META = "signalbox.dev/token"  # noqa: S105 # the name of a field
CALL_META = "signalbox.dev/call"

S = TypeVar("S", bound=BaseModel)


class HttpBinding(BaseModel):
    """Where a server listens when it is not spoken to over stdio."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int


class ServerConfig(BaseModel, Generic[S]):
    """Everything that a server process is told: its audience, its verification key, its own settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    audience: str
    key: SecretStr
    settings: S
    http: HttpBinding | None = None


class CallMeta(BaseModel):
    """What the tool bus says about one call, besides who asks."""

    model_config = ConfigDict(frozen=True)

    call_id: str = ""
    run_id: str = ""
    idempotency_key: str = ""
    dry_run: bool = False


def read_config(settings_type: type[S]) -> ServerConfig[S]:
    """The configuration of this process, removed from the environment so that no child inherits it."""
    raw = os.environ.pop(CONFIG_ENV, None)
    if raw is None:
        raise SystemExit(f"{CONFIG_ENV} is not set. Start this server with `signalbox up` or `signalbox mcp-server`.")
    return ServerConfig[settings_type].model_validate_json(raw)


def dump_config(config: ServerConfig[Any]) -> str:
    """The JSON to put into the environment of a server process, secrets included."""
    return json.dumps(to_jsonable_python(_reveal(config.model_dump())))


class Caller:
    """Answers "who asks?" for one server."""

    def __init__(self, config: ServerConfig[Any]) -> None:
        self._audience = config.audience
        self._key = config.key

    def chain(self, context: Context[Any, Any]) -> Chain:
        """The verified chain behind this call; raises `NotAuthenticated` when the call carries no valid token."""
        token = _meta(context).get(TOKEN_META)
        if not isinstance(token, str):
            hint = "Call it through Signalbox."
            raise NotAuthenticated(f"This call carries no token for {self._audience!r}.", hint=hint)
        return verify_token(token, audience=self._audience, key=self._key)

    def call(self, context: Context[Any, Any]) -> CallMeta:
        """What the bus said about this call; empty fields when it said nothing."""
        return CallMeta.model_validate(_meta(context).get(CALL_META) or {})


def serve(server: MCPServer[Any], config: ServerConfig[Any]) -> None:
    """Run until the client goes away (stdio) or the process is stopped (HTTP)."""
    if config.http is None:
        server.run("stdio")
        return
    import uvicorn  # only this branch needs a web server

    hosts = [f"{config.http.host}:*", "localhost:*"]
    app = server.streamable_http_app(
        transport_security=TransportSecuritySettings(
            allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts]
        )
    )
    guarded = BearerGate(app, config.key)
    # h11: httptools rejects header whitespace that the protocol allows.
    uvicorn.run(guarded, host=config.http.host, port=config.http.port, http="h11", log_level="warning")


class BearerGate:
    """Lets an HTTP request through only with the server's own key as bearer token."""

    def __init__(self, app: ASGIApp, key: SecretStr) -> None:
        self._app = app
        self._expected = f"Bearer {key.get_secret_value()}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        if hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]})
        await send({"type": "http.response.body", "body": b""})


def _reveal(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _reveal(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_reveal(item) for item in value]
    return value


def _meta(context: Context[Any, Any]) -> dict[str, Any]:
    meta = context.request_context.meta
    return dict(meta) if meta else {}
