"""What the tool bus is told: which servers there are, and how patient, how careful and how generous it is."""

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

SERVER_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class ServerSpec(BaseModel):
    """One MCP server: a command that we start and speak to over stdio, or a URL of streamable HTTP.

    `ours` servers get a token minted for `audience` with every call; others never see one. `auto_approve` takes
    the server's tools into the catalogue as they are: for servers that are part of this release, never for others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    transport: Literal["stdio", "http"] = "stdio"
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = Field(default_factory=dict)
    cwd: str | None = None
    url: str = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    ours: bool = False
    audience: str = ""
    auto_approve: bool = False
    call_timeout_s: float | None = Field(default=None, gt=0, description="Instead of the bus's own, for slow servers.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not SERVER_NAME.fullmatch(self.name):
            raise ValueError(f"the name {self.name!r} must match {SERVER_NAME.pattern}")
        if self.transport == "stdio" and (not self.command or self.url or self.headers):
            raise ValueError(f"the stdio server {self.name!r} needs a command, and neither url nor headers")
        if self.transport == "http" and (self.command or not self.url.startswith(("http://", "https://"))):
            raise ValueError(f"the HTTP server {self.name!r} needs a url that begins with http:// or https://")
        if self.ours and not self.audience:
            raise ValueError(f"the server {self.name!r} is ours: it needs an audience")
        return self


class OpenApiSpec(BaseModel):
    """An HTTP service whose listed operations become tools; what it describes beyond them does not exist for us.

    `document` is a file or a URL of an OpenAPI 3 description. Requests go to `base_url` and nowhere else: the
    servers that the description names do not count. Private addresses need `allow_private`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    document: str
    base_url: str
    operations: tuple[str, ...] = Field(min_length=1, description="The operationIds to offer.")
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Sent with every call: authentication.")
    allow_private: bool = False
    call_timeout_s: float | None = Field(default=None, gt=0)
    auto_approve: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not SERVER_NAME.fullmatch(self.name):
            raise ValueError(f"the name {self.name!r} must match {SERVER_NAME.pattern}")
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"the base URL {self.base_url!r} must be http(s)://host/path without query")
        if parts.username or parts.password:
            raise ValueError("the base URL must not hold credentials; put them into headers")
        return self


class ToolBusSettings(BaseModel):
    """Limits and patience of the bus; the defaults suit one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    handshake_timeout_s: float = Field(default=30, gt=0)
    call_timeout_s: float = Field(default=30, gt=0)
    shutdown_timeout_s: float = Field(default=8, gt=0)
    reconnect_wait_s: float = Field(default=8, gt=0, description="How long a call waits for a server that restarts.")
    restart_backoff_s: float = Field(default=0.2, gt=0, description="Doubles with every failed restart.")
    restart_backoff_max_s: float = Field(default=30, gt=0)
    stable_after_s: float = Field(default=10, gt=0, description="Up for this long, a server's backoff starts anew.")
    breaker_failures: int = Field(default=5, ge=1, description="Failures in a row that open a server's circuit.")
    breaker_cool_down_s: float = Field(default=15, gt=0)
    per_tool_concurrency: int = Field(default=8, ge=1)
    max_argument_bytes: int = Field(default=64 * 1024, ge=1024)
    max_result_bytes: int = Field(default=64 * 1024, ge=1024)
    max_result_rows: int = Field(default=200, ge=1)
    max_tools_per_server: int = Field(default=500, ge=1)
    max_offered_tools: int = Field(default=20, ge=1, description="Above this, only the relevant tools are offered.")
    max_description_chars: int = Field(default=1500, ge=100)
    max_schema_bytes: int = Field(default=32 * 1024, ge=1024)
    catalogue_poll_s: float = Field(default=2, gt=0, description="How soon an approval on the command line counts.")
    token_ttl_s: float = Field(default=120, gt=0)
