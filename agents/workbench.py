"""A step's view of its tools: never raises, never hangs, hands every result to the run's evidence."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from autogen_core import CancellationToken
from autogen_core.tools import TextResultContent, ToolResult, ToolSchema, Workbench
from pydantic import BaseModel

from agents.evidence import reference
from agents.prompting import defang
from signalbox.errors import SignalboxError
from toolbus.contracts import CallContext, ToolOutcome

_log = structlog.get_logger(__name__)


class StepWorkbench(Workbench):
    """Wraps the bus's workbench for one step.

    AssistantAgent 0.7.5 waits for ever for a workbench that raises anything, `CancelledError` included, and passes on
    arguments that are no object (autogen #7956; notes, defects 1 and 2). So every way a call can end is a result here.
    """

    component_config_schema = BaseModel

    def __init__(
        self, inner: Workbench, call: CallContext, on_outcome: Callable[[ToolOutcome, str], Awaitable[str]]
    ) -> None:
        self._inner = inner
        self._call = call
        self._on_outcome = on_outcome
        self._seen = len(call.outcomes)
        self._tools: list[ToolSchema] | None = None

    async def list_tools(self) -> list[ToolSchema]:
        """The tools of this step; asked once, for AutoGen asks at every model call."""
        if self._tools is None:
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
        work = asyncio.ensure_future(self._inner.call_tool(name, arguments, cancellation_token, call_id))
        if cancellation_token is not None:
            cancellation_token.link_future(work)
        try:
            result = await work
        except asyncio.CancelledError:
            if cancellation_token is not None and cancellation_token.is_cancelled():
                return _error(name, "Cancelled.")
            work.cancel()
            raise
        except SignalboxError as error:
            return _error(name, str(error))
        except Exception as error:  # noqa: BLE001 - see above: it must become a result
            _log.exception("tool.crashed", tool=name, error=type(error).__name__)
            return _error(name, f"{name!r} failed inside Signalbox. Do without it.")
        return await self._taken_up(result)

    async def _taken_up(self, result: ToolResult) -> ToolResult:
        new, self._seen = self._call.outcomes[self._seen :], len(self._call.outcomes)
        text = defang(result.to_text(replace_image="[image]"))
        notes = [await self._on_outcome(outcome, reference(text)) for outcome in new]
        if any(notes):
            text = "\n".join([text, *filter(None, notes)])
        return ToolResult(name=result.name, result=[TextResultContent(content=text)], is_error=result.is_error)

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
