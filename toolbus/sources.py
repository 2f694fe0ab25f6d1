"""Where tools come from: an MCP server, an OpenAPI service, a remote agent. The bus sees only this."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from signalbox.identity import Chain


class OnProgress(Protocol):
    """Told how far a call is; `progress` of `total`, where the total is known."""

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None: ...


OnListed = Callable[["ToolSource", Sequence["DeclaredTool"]], None]


@dataclass(frozen=True)
class DeclaredTool:
    """A tool as its source declares it; nothing of it is trusted before its review."""

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False


@dataclass(frozen=True)
class SourceCall:
    """One call as a source gets it: already authorised and validated."""

    tool: str
    arguments: dict[str, Any]
    chain: Chain
    call_id: str
    timeout_s: float
    run_id: str = ""
    idempotency_key: str = ""
    dry_run: bool = False
    replayable: bool = False
    on_progress: OnProgress | None = None


@dataclass(frozen=True)
class SourceResult:
    """What came back, not yet redacted or bounded."""

    text: str
    structured: Any = None
    is_error: bool = False


class ToolSource(Protocol):
    """A supervised source of tools."""

    @property
    def name(self) -> str: ...

    @property
    def ours(self) -> bool:
        """Part of this release: gets tokens and understands dry runs."""
        ...

    @property
    def auto_approve(self) -> bool: ...

    @property
    def call_timeout_s(self) -> float | None:
        """The source's own limit for one call, where it has one."""
        ...

    @property
    def restarts(self) -> int:
        """How often it had to be connected again; 0 for one without a connection."""
        ...

    def is_offering(self) -> bool:
        """Whether its tools are worth offering now: it is up, or expected back within moments."""
        ...

    def status(self) -> str:
        """`up`, or what is wrong."""
        ...

    async def start(self, on_listed: OnListed) -> None:
        """Connect; returns once the first attempt has ended, well or not. Reports every listing of tools."""
        ...

    async def call(self, call: SourceCall) -> SourceResult:
        """Make one call; raises `ToolFault` or `UpstreamDown`, never leaves the far end working after a cancel."""
        ...

    async def close(self) -> None:
        """Disconnect and end every process; never raises."""
        ...
