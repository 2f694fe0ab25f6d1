"""The audit record of a stopped run: whose it was, why it stopped, and how far it had come. No content."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runs.events import StepReport
from toolbus.trace import current_trace_id

if TYPE_CHECKING:
    from agents.contracts import TurnRequest
    from agents.direct_audit import Chain


class StopAudit:
    """Writes one record for each run that was stopped; the tool calls it ended have records of their own."""

    def __init__(self, chain: "Chain") -> None:
        self._chain = chain

    def stopped(self, request: "TurnRequest", *, reason: str, steps: Sequence[StepReport], released_chars: int) -> None:
        """A run has been stopped, all that worked for it included."""
        principal = request.principal
        self._chain.append(
            {
                "event": "run.stopped",
                "run": request.run_id,
                "trace": current_trace_id(),
                "tenant": principal.tenant,
                "user": principal.user,
                "groups": sorted(principal.groups),
                "surface": request.surface,
                "reason": reason,
                "steps": {step.id: step.status for step in steps},
                "released_chars": released_chars,
            }
        )
