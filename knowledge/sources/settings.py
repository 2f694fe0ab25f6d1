"""What each kind of source can be told. Sources that hold people's own data have no default for who may see them."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from knowledge.contracts import AccessRule

EVERYONE = AccessRule(allow=frozenset({"everyone"}))


class SourceSettings(BaseModel):
    """What all sources have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    access: AccessRule
    every_s: float = Field(default=0, ge=0, description="Seconds between two runs; 0: only when asked.")
    tags: tuple[str, ...] = ()
    region: str = Field(default="", description="Documents of this source stay in stores of this region.")


class FolderSettings(SourceSettings):
    """A folder of files."""

    kind: Literal["folder"] = "folder"
    path: str
    access: AccessRule = EVERYONE
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class WebSettings(SourceSettings):
    """Pages, and all pages of sitemaps that `include` and `exclude` (globs over the address) let through."""

    kind: Literal["web"] = "web"
    access: AccessRule = EVERYONE
    pages: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow: tuple[str, ...] = Field(default=(), description="Inner hosts, host:ports and networks that may be read.")
    max_pages: int = Field(default=10_000, ge=1)
    max_bytes: int = Field(default=50_000_000, gt=0)
    timeout_s: float = Field(default=30.0, gt=0)
    respect_robots: bool = True
    delay_s: float = Field(default=0.2, ge=0, description="Between two requests to one site.")


class MaildirSettings(SourceSettings):
    """A mailbox as a maildir."""

    kind: Literal["maildir"] = "maildir"
    path: str
    folders: tuple[str, ...] = Field(default=(), description="Empty: all; INBOX: the maildir itself.")
    days: int = Field(default=0, ge=0, description="Only messages of the last days; 0: all.")


class ImapSettings(SourceSettings):
    """Folders of a mailbox on an IMAP server."""

    kind: Literal["imap"] = "imap"
    host: str
    port: int = Field(default=993, ge=1, le=65535)
    tls: Literal["implicit", "starttls", "none"] = Field(default="implicit", description="`none` only on this machine.")
    user: str
    password: SecretStr
    folders: tuple[str, ...] = ("INBOX",)
    days: int = Field(default=0, ge=0, description="Only messages of the last days; 0: all.")
    timeout_s: float = Field(default=30.0, gt=0)


class SqlSettings(SourceSettings):
    """The rows of a query. `{column}` in `title` and `template` stands for a value."""

    kind: Literal["sql"] = "sql"
    url: SecretStr = Field(description="SQLAlchemy address of the database, with a user that may only read.")
    query: str
    key: str = Field(description="Column that identifies a row.")
    title: str = ""
    template: str = Field(default="", description="Markdown; empty: all columns as a list.")
    modified_column: str = ""
    access_column: str = Field(default="", description="Column with comma-separated subjects; narrows `access`.")
    max_rows: int = Field(default=100_000, ge=1)
    timeout_s: float = Field(default=120.0, gt=0)


class McpSettings(SourceSettings):
    """The resources of an MCP server, by its address or by the command that starts it."""

    kind: Literal["mcp"] = "mcp"
    url: str = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Sent to `url` and nowhere else: its key.")
    command: tuple[str, ...] = ()
    env: dict[str, SecretStr] = Field(default_factory=dict, description="Of the command; it sees nothing else of ours.")
    include: tuple[str, ...] = Field(default=(), description="Globs over the resource's uri.")
    exclude: tuple[str, ...] = ()
    timeout_s: float = Field(default=60.0, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.headers and not self.url) or (self.env and not self.command):
            raise ValueError("headers go with a url, env goes with a command")
        return self


class RestSettings(SourceSettings):
    """A list of records behind a REST endpoint; by address, or by operation of an OpenAPI description."""

    kind: Literal["rest"] = "rest"
    url: str = Field(default="", description="Address of the list.")
    openapi_url: str = Field(default="", description="Address of an OpenAPI description in JSON, with `operation_id`.")
    operation_id: str = ""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    items: str = Field(default="", description="Where the list is in the answer, as `data.items`; empty: the answer.")
    next: str = Field(default="", description="Where the address of the next page is in the answer, as `links.next`.")
    key: str = Field(default="id", description="Field that identifies a record, as `meta.id`.")
    title: str = ""
    template: str = Field(default="", description="Markdown with `{field}`s; empty: all fields as facts.")
    modified_field: str = ""
    allow: tuple[str, ...] = Field(default=(), description="Inner hosts and networks that may be read.")
    max_pages: int = Field(default=1_000, ge=1)
    max_bytes: int = Field(default=50_000_000, gt=0)
    timeout_s: float = Field(default=30.0, gt=0)


AnySource = Annotated[
    FolderSettings | WebSettings | MaildirSettings | ImapSettings | SqlSettings | McpSettings | RestSettings,
    Field(discriminator="kind"),
]
