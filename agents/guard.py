"""A step's view of its tools: never raises, never hangs, hands every result to the run's evidence."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from autogen_core import CancellationToken
from autogen_core.tools import TextResultContent, ToolResult, ToolSchema, Workbench
from pydantic import BaseModel

from agents.prompting import defang
from toolbus.contracts import CallContext, ToolOutcome

TakeUp = Callable[[ToolOutcome], Awaitable[str]]
"""Is told of every outcome; what it returns is added to the text that the model reads."""

_log = structlog.get_logger(__name__)


class GuardedWorkbench(Workbench):
    """Wraps the bus's workbench for one step.

    AssistantAgent 0.7.5 waits for ever for a workbench that raises anything, `CancelledError` included, and passes on
    arguments that are no object (autogen #7956; tests/agents/test_autogen_defects.py). So whatever the workbench
    behind it does, every way a call can end is a result here.
    """

    component_config_schema = BaseModel

    def __init__(self, inner: Workbench, call: CallContext, take_up: TakeUp) -> None:
        self._inner = inner
        self._call = call
        self._take_up = take_up
        self._taken: set[int] = set()
        self._tools: list[ToolSchema] | None = None

    async def list_tools(self) -> list[ToolSchema]:
        """The tools of this step, kept until a cut result has more to read: AutoGen asks before every call."""
        if self._tools is None or self._call.leftovers:
            self._tools = list(await self._inner.list_tools())
        return self._tools

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Call through the bus; whatever happens, the model gets a result that it can act on."""
        if arguments is not None and not isinstance(arguments, Mapping):
            return _error(name, f"The arguments of {name!r} must be a JSON object. Call it again with one.")
        try:
            result = await self._inner.call_tool(name, arguments, cancellation_token, call_id)
            return await self._taken_up(name, result)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return _error(name, "Cancelled.")
        except Exception as error:  # noqa: BLE001 - raising here would hang the agent for ever
            _log.error("tool.crashed", tool=name, run_id=self._call.run_id, error=type(error).__name__, exc_info=error)
            return _error(name, f"{name!r} failed inside Signalbox. Do without it.")

    async def _taken_up(self, name: str, result: ToolResult) -> ToolResult:
        text = result.to_text(replace_image="[image]")
        outcome = self._outcome_of(name, text)
        note = await self._take_up(outcome) if outcome is not None else ""
        said = [defang(text), note] if note else [defang(text)]
        return ToolResult(
            name=name, result=[TextResultContent(content=part) for part in said], is_error=result.is_error
        )

    def _outcome_of(self, name: str, text: str) -> ToolOutcome | None:
        """The outcome that the bus noted for this result; calls may run side by side, so order tells nothing."""
        for outcome in self._call.outcomes:
            if outcome.tool == name and outcome.text == text and id(outcome) not in self._taken:
                self._taken.add(id(outcome))
                return outcome
        return None

    async def start(self) -> None:
        """The bus's sessions outlive a step: nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def reset(self) -> None:
        """Nothing to reset."""

    async def save_state(self) -> Mapping[str, Any]:
        """A step keeps no state."""
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """A step keeps no state."""


def _error(name: str, text: str) -> ToolResult:
    return ToolResult(name=name, result=[TextResultContent(content=text)], is_error=True)
