"""What an agent holds: the tools of one step, bound to the principal and the limits of that step.

`call_tool` always returns a `ToolResult`: a workbench that raises makes AutoGen 0.7.5 hang for ever (its task
never posts the end mark; autogen#7956). Only the cancellation of our own task passes through.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog
from autogen_core import CancellationToken
from autogen_core.tools import TextResultContent, ToolResult, ToolSchema, Workbench
from pydantic import BaseModel

from signalbox.errors import SignalboxError
from toolbus.contracts import CallContext, ToolOutcome, ToolSpec

_log = structlog.get_logger(__name__)
_FAILURES = ("error", "denied", "cancelled")


class StepBus(Protocol):
    """What a step needs of the bus."""

    async def offered(self, context: CallContext, patterns: Sequence[str]) -> Sequence[ToolSpec]:
        """The tools that the step may call now."""
        ...

    async def run(self, context: CallContext, patterns: Sequence[str], tool: str, arguments: Any) -> ToolOutcome:
        """Make one call for the step."""
        ...


class StepWorkbench(Workbench):
    """The tools of one step; not to be shared between steps."""

    component_config_schema = BaseModel
    component_provider_override = "toolbus.workbench.StepWorkbench"

    def __init__(self, bus: StepBus, context: CallContext, patterns: Sequence[str]) -> None:
        self._bus = bus
        self._context = context
        self._patterns = tuple(patterns)

    async def list_tools(self) -> list[ToolSchema]:
        """The schemas, verbatim; asked by the agent before every model call and every tool call."""
        return [
            ToolSchema(name=tool.name, description=tool.description, parameters=tool.input_schema, strict=False)  # pyright: ignore[reportArgumentType]
            for tool in await self._bus.offered(self._context, self._patterns)
        ]

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Make one call; whatever happens is told in the result."""
        call = asyncio.ensure_future(self._call(name, {} if arguments is None else arguments))
        if cancellation_token is not None:
            cancellation_token.link_future(call)
        try:
            outcome = await call
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            outcome = ToolOutcome(tool=name, status="cancelled", text=f"{name!r} was cancelled.")
            self._context.outcomes.append(outcome)
        return ToolResult(
            name=name, result=[TextResultContent(content=outcome.text)], is_error=outcome.status in _FAILURES
        )

    async def _call(self, name: str, arguments: Any) -> ToolOutcome:
        try:
            outcome = await self._bus.run(self._context, self._patterns, name, arguments)
        except SignalboxError as error:
            outcome = ToolOutcome(tool=name, status="error", text=str(error))
        except Exception as error:  # noqa: BLE001 - the root of the call: raising here would hang the agent
            _log.error(
                "toolbus.fault", tool=name, run_id=self._context.run_id, error=type(error).__name__, exc_info=error
            )
            outcome = ToolOutcome(
                tool=name, status="error", text=f"{name!r} failed for a reason of ours; it is logged."
            )
        self._context.outcomes.append(outcome)
        return outcome

    async def start(self) -> None:
        """Nothing to start: servers live as long as the bus."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def reset(self) -> None:
        """Nothing to reset."""

    async def save_state(self) -> Mapping[str, Any]:
        """A step's workbench has no state of its own."""
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to load."""
