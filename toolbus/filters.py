"""What every call passes, in this order: audit, authorise, budget and approval, redact.

A filter either passes the call on or ends it with an outcome; a refusal is an outcome, not an exception. Each is an
ordinary callable, so the order and the library that strings them together are `toolbus.kernel`'s business alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from policies.engine import Effect, Policy
from signalbox.errors import SignalboxError, UpstreamDown
from toolbus.audit import AuditLog, argument_hash
from toolbus.call import Call
from toolbus.catalogue import Catalogue
from toolbus.contracts import ApprovalDesk, ToolOutcome
from toolbus.leftovers import finish
from toolbus.offer import request_for
from toolbus.results import clean
from toolbus.settings import ToolBusSettings
from toolbus.trace import current_trace_id

_log = structlog.get_logger(__name__)

Next = Callable[[], Awaitable[ToolOutcome]]
Filter = Callable[[Call, Next], Awaitable[ToolOutcome]]
Preview = Callable[[Call], Awaitable[ToolOutcome]]


class AuditFilter:
    """Outermost: whatever becomes of a call is recorded. A call that changes things is recorded before it happens."""

    def __init__(self, log: AuditLog, policy: Policy) -> None:
        self._log = log
        self._policy = policy

    async def __call__(self, call: Call, proceed: Next) -> ToolOutcome:
        """Record the outcome, cancellation and faults of ours included; what cannot be recorded is not done."""
        try:
            self._log.admit()
        except UpstreamDown as error:
            return call.outcome("error", f"{call.tool.name!r} was not called: {error}")
        status = "fault"
        try:
            outcome = await proceed()
            status = outcome.status
            return outcome
        except asyncio.CancelledError:
            status = "cancelled"
            raise
        finally:
            self._record(call, status)

    async def before_effect(self, call: Call) -> None:
        """Have it on disk that a consequential call is about to be made."""
        self._record(call, "started")
        await self._log.flush()

    def _record(self, call: Call, status: str) -> None:
        chain = call.context.chain
        verdict = call.verdict
        self._log.append(
            {
                "event": "tool.call",
                "call": call.call_id,
                "trace": current_trace_id(),
                "run": call.context.run_id,
                "step": call.context.step_id,
                "policy": (verdict.version if verdict else "") or self._policy.version,
                "tenant": chain.principal.tenant,
                "user": chain.principal.user,
                "groups": sorted(chain.principal.groups),
                "actors": list(chain.actors),
                "tool": call.tool.name,
                "pin": call.tool.pin,
                "argument_hash": argument_hash(call.arguments),
                "arguments": call.masked,
                "effect": verdict.effect.value if verdict else None,
                "rules": list(verdict.rule_ids) if verdict else [],
                "reason": verdict.reason if verdict else "",
                "approval": call.approval_id,
                "outcome": status,
                "note": call.note,
                "duration_ms": round(call.duration_ms, 3),
            }
        )


class AuthoriseFilter:
    """Decides whether this principal may make this call at all."""

    def __init__(self, policy: Policy, catalogue: Catalogue) -> None:
        self._policy = policy
        self._catalogue = catalogue

    async def __call__(self, call: Call, proceed: Next) -> ToolOutcome:
        """Forbidden calls end here."""
        call.verdict = self._policy.decide(request_for(call.context.chain, call.tool, self._catalogue))
        if call.verdict.effect is Effect.FORBID or call.refused:
            return call.outcome("denied", f"{call.tool.name!r} is not allowed: {call.verdict.reason}")
        return await proceed()


class BudgetAndApprovalFilter:
    """Takes the call from the run's budget, and lets a person decide where the policy says so."""

    def __init__(self, desk: ApprovalDesk, preview: Preview, before_effect: Callable[[Call], Awaitable[None]]) -> None:
        self._desk = desk
        self._preview = preview
        self._before_effect = before_effect

    async def __call__(self, call: Call, proceed: Next) -> ToolOutcome:
        """Calls over budget end here; calls to be approved wait at the desk."""
        if call.interrupted:
            call.note = "interrupted"
            return call.outcome(
                "error",
                f"{call.tool.name!r} was being called when Signalbox stopped; whether it took effect is unknown. "
                "Find that out before you ask for it again.",
            )
        budget = call.context.budget
        if budget.deadline <= time.monotonic():
            call.note = "deadline"
            return call.outcome("error", "The time for this task is used up. Answer with what you have.")
        if not budget.take_tool_call():
            call.note = "budget"
            return call.outcome("error", "The tool calls for this task are used up. Answer with what you have.")
        if call.verdict is not None and call.verdict.effect is Effect.ASK and not call.approval_id:
            return await self._ask(call)
        if not call.tool.read_only:
            try:
                await self._before_effect(call)
            except UpstreamDown as error:
                call.note = "unrecorded"
                return call.outcome("error", f"{call.tool.name!r} was not called: {error}")
        return await proceed()

    async def _ask(self, call: Call) -> ToolOutcome:
        preview = await self._preview(call)
        if preview.status != "ok":
            call.note = "preview"
            return preview
        try:
            approval = await self._desk.propose(call.context, call.tool, call.arguments, preview.text)
        except SignalboxError as error:
            call.note = error.code
            return call.outcome("error", f"The approval could not be asked for: {error}")
        call.note = approval.id
        outcome = call.outcome(
            "awaiting_approval",
            f"Nothing has happened yet: {call.tool.name!r} waits for approval {approval.id}. "
            f"What will happen once a person approves it: {preview.text}\n"
            "Do not call the tool again; tell the user what waits for their approval.",
            preview.structured,
        )
        outcome.approval = approval
        return outcome


class RedactFilter:
    """Innermost: no credential and no flood reaches a model."""

    def __init__(self, settings: ToolBusSettings) -> None:
        self._settings = settings

    async def __call__(self, call: Call, proceed: Next) -> ToolOutcome:
        """Replace credentials, then cut to size."""
        outcome = await proceed()
        if call.raw is None:
            return outcome
        result = clean(call.raw, max_bytes=self._settings.max_result_bytes, max_rows=self._settings.max_result_rows)
        call.raw = None
        return finish(call.context, outcome, result)
