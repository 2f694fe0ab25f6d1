"""How an approved action is carried out, and how it is decided from other faces."""

import math

from agents.reviewer import Reviewer
from conversations.outcomes import outcome_text
from runs.approvals import Approval, Approvals, Executed
from runs.events import RunEvent
from signalbox.identity import Principal
from toolbus.contracts import Budget, CallContext, ToolBus


class ApprovedActions:
    """Carries out approved calls on the bus; the outcome passes the reviewer before anyone sees it."""

    def __init__(self, bus: ToolBus, reviewer: Reviewer) -> None:
        self._bus = bus
        self._reviewer = reviewer

    async def execute(self, approval: Approval) -> Executed:
        """Make exactly the call that was approved, with the approval's id as idempotency key.

        One that is being carried out already was begun by a process that ended meanwhile.
        """
        context = CallContext(
            chain=approval.chain,
            run_id=approval.run_id,
            step_id=approval.step_id,
            conversation_id=approval.conversation_id,
            budget=Budget(tool_calls=1, tokens=0, deadline=math.inf),
            emit=_drop,
        )
        outcome = await self._bus.call_approved(
            context, approval.tool, approval.arguments, approval.id, begun=approval.state == "executing"
        )
        structured = outcome.structured
        summary = structured.get("summary") if isinstance(structured, dict) else None
        text = summary if isinstance(summary, str) else outcome.text
        return Executed(ok=outcome.status == "ok", text=self._reviewer.clean(text))


class ApprovalDecider:
    """Decisions that come over A2A (`a2a_bridge.executor.Decider`)."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    async def decide(self, principal: Principal, approval_id: str, *, approve: bool, reason: str) -> str:
        """Decide once; the sentence that says what came of it."""
        return outcome_text(await self._approvals.decide(principal, approval_id, approve=approve, reason=reason))


async def _drop(_event: RunEvent) -> None:
    """The run that proposed the action has ended; nobody reads its events any more."""
