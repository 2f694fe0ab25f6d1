"""What the layers above see of the tool bus."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from autogen_core.tools import Workbench
from pydantic import BaseModel, ConfigDict

from runs.events import ApprovalView, RunEvent
from signalbox.identity import Chain
from toolbus.budget import Budget

__all__ = ["ApprovalDesk", "Budget", "CallContext", "Emit", "ToolBus", "ToolOutcome", "ToolSpec"]

Emit = Callable[[RunEvent], Awaitable[None]]


class ToolSpec(BaseModel):
    """One tool as the bus knows it; `name` is `server__tool`, unique on the bus and valid for every model API."""

    model_config = ConfigDict(frozen=True)

    name: str
    server: str
    tool: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    pin: str


@dataclass
class ToolOutcome:
    """One finished call as the agent layer sees it: the raw structured result, not only its text."""

    tool: str
    status: Literal["ok", "error", "denied", "cancelled", "awaiting_approval"]
    text: str
    structured: Any = None
    approval: ApprovalView | None = None
    answered: bool = False
    """The tool itself said so; else the bus did: the call was not made, or no answer came."""


@dataclass
class CallContext:
    """On whose behalf, for which step and within which limits the tools of one workbench are called.

    `task` is what the step is to do, in words: where many tools are installed, those that fit it are offered.
    `budget.deadline` is a point of `time.monotonic()`. `leftovers` is the bus's own: what was cut off results.
    """

    chain: Chain
    run_id: str
    step_id: str
    conversation_id: str
    budget: Budget
    emit: Emit
    outcomes: list[ToolOutcome] = field(default_factory=list)
    task: str = ""
    leftovers: dict[str, tuple[str, list[Any] | str]] = field(default_factory=dict)
    unsettled: list[str] = field(default_factory=list)
    """Tools that may change things whose calls were cancelled under way: whether they took effect is unknown."""


class ApprovalDesk(Protocol):
    """Where a call that needs a person waits (implemented by `runs.approvals`)."""

    async def propose(
        self, context: CallContext, tool: ToolSpec, arguments: dict[str, Any], preview: str
    ) -> ApprovalView:
        """Store the exact call and return what a person must see; proposing the same call again changes nothing."""
        ...


class ToolBus(Protocol):
    """The bus as the orchestrator sees it."""

    async def tools(self, chain: Chain) -> Sequence[ToolSpec]:
        """Every approved tool that this chain may call, on servers that are up."""
        ...

    async def workbench(self, context: CallContext, patterns: Sequence[str]) -> Workbench:
        """The tools whose names match `patterns` (`server__tool` or `server__*`), bound to one step."""
        ...

    async def call_approved(
        self, context: CallContext, tool: str, arguments: dict[str, Any], approval_id: str, *, begun: bool = False
    ) -> ToolOutcome:
        """Run exactly what was approved, its id as idempotency key; `begun`: before, by a process that ended."""
        ...

    async def health(self) -> dict[str, str]:
        """Per server: `up`, or what is wrong with it."""
        ...
