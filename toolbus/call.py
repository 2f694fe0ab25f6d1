"""One call on its way through the bus."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from secrets import token_hex
from typing import Any

from policies.engine import Verdict
from policies.sensitive import mask_value
from toolbus.contracts import CallContext, ToolOutcome, ToolSpec
from toolbus.sources import OnProgress, SourceResult

Invoke = Callable[["Call"], Awaitable[ToolOutcome]]


@dataclass
class Call:
    """The facts of one call; the filters add what they find out. Nothing here is shared between calls."""

    context: CallContext
    tool: ToolSpec
    arguments: dict[str, Any]
    timeout_s: float
    call_id: str = field(default_factory=lambda: f"call_{token_hex(12)}")
    approval_id: str = ""
    refused: bool = False
    """It was not offered, for the policy forbids it: it is passed on to be decided and recorded, never to be made."""
    interrupted: bool = False
    """It was begun before, by a process that ended, and to make it again might double its effect."""
    on_progress: OnProgress | None = None
    verdict: Verdict | None = None
    raw: SourceResult | None = None
    note: str = ""
    started: float = field(default_factory=time.perf_counter)

    @cached_property
    def masked(self) -> dict[str, Any]:
        """The arguments as they may be kept and shown in events."""
        return mask_value(self.arguments)

    @property
    def duration_ms(self) -> float:
        """Since the call entered the bus."""
        return (time.perf_counter() - self.started) * 1000

    def outcome(self, status: Any, text: str, structured: Any = None) -> ToolOutcome:
        """What the agent layer gets."""
        return ToolOutcome(tool=self.tool.name, status=status, text=text, structured=structured)
