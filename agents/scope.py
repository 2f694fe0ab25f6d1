"""What belongs to one turn, and to one step of it. Nothing here is shared between turns."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import ToolSchema

from agents.contracts import Step, StepOutcome, TurnRequest
from agents.evidence import Evidence
from agents.release import Release
from agents.shared_tools import SharedTools
from inference.contracts import CallScope
from runs.events import ApprovalView, RunEvent, StepReport, StepStatus, UsageCounted
from signalbox.errors import UpstreamDown
from signalbox.identity import Chain
from toolbus.contracts import Budget, CallContext

T = TypeVar("T")
Emit = Callable[[RunEvent], Awaitable[None]]


@dataclass
class Turn:
    """One turn while it runs. `budget` is the run's; `work` is the part of it that its steps share."""

    request: TurnRequest
    conversation_id: str
    history: Sequence[dict[str, str]]
    summary: str
    today: str
    calls: CallScope
    budget: Budget
    work: Budget
    emit: Emit
    evidence: Evidence
    release: Release
    release_name: str = ""
    token: CancellationToken = field(default_factory=CancellationToken)
    shared_tools: Sequence[ToolSchema] | None = None
    approvals: list[ApprovalView] = field(default_factory=list)
    assumptions: tuple[str, ...] = ()
    question: str = ""
    asked_before: bool = False
    """Whether the answer before this one was a question back: one is enough."""
    _reports: dict[str, StepReport] = field(default_factory=dict)

    def counted(self, step_id: str = "") -> UsageCounted:
        """What the run has used so far, as an event."""
        return UsageCounted(usage=self.calls.meter.usage, cost=self.calls.meter.cost, step_id=step_id)

    def note(self, outcome: StepOutcome) -> None:
        """Keep how a step ended for the run's record."""
        self._keep(outcome.step, outcome.status, outcome.duration_ms, outcome.reason)
        self.approvals.extend(outcome.approvals)

    def note_start(self, step: Step, task: str) -> None:
        """Keep that a step began; if nothing else is heard of it, it was cancelled."""
        self._keep(step, "cancelled", 0, "")
        self._reports[step.id] = self._reports[step.id].model_copy(update={"task": task})

    def reports(self) -> tuple[StepReport, ...]:
        """How the steps went, in the order in which they began."""
        return tuple(self._reports.values())

    def _keep(self, step: Step, status: StepStatus, duration_ms: float, reason: str) -> None:
        known = self._reports.get(step.id)
        self._reports[step.id] = StepReport(
            id=step.id,
            specialist=step.specialist,
            status=status,
            duration_ms=duration_ms,
            task=known.task if known else "",
            reason=reason,
        )

    @property
    def chain(self) -> Chain:
        """The person who asks, with the orchestrator acting."""
        return Chain(principal=self.request.principal, actors=("orchestrator",), release=self.release_name)

    def equipped(self, client: ChatCompletionClient) -> ChatCompletionClient:
        """`client` with the tool list that all roles of this turn share, where they share one."""
        if not self.shared_tools:
            return client
        # An engine that stands in for the chosen one picks among the tools that it is shown: show it its own.
        return SharedTools(client, self.shared_tools, sharing=lambda: not self.calls.meter.degraded)

    def sections(self, **more: Any) -> dict[str, Any]:
        """The sections that every role of this turn gets, and what one role gets besides."""
        told = {"now": self.today, "summary": self.summary, "history": self.history, "question": self.request.text}
        return {**told, **more}


@dataclass
class StepScope:
    """One step while it runs: its own budget, its own calls, its own token."""

    turn: Turn
    step: Step
    call: CallContext
    token: CancellationToken
    findings: Sequence[dict[str, str]] = ()

    @property
    def calls(self) -> CallScope:
        """The scope of the step's model calls: metered for the run, charged to the step."""
        return replace(self.turn.calls, meter=self.turn.calls.meter.part(self.call.budget.charge))


def child_of(parent: CancellationToken) -> CancellationToken:
    """A token that is cancelled with `parent`, and can be cancelled alone.

    Never link back: `cancel` holds a lock while it calls back, so a circle of tokens is a deadlock (notes, defect 9).
    """
    token = CancellationToken()
    parent.add_callback(token.cancel)
    return token


async def bounded(
    work: Callable[[CancellationToken], Awaitable[T]], token: CancellationToken, *, timeout_s: float, grace_s: float
) -> T:
    """Run `work` in a task of its own under `token`; on time-out or cancellation stop both. Raises `TimeoutError`.

    Cancelling the task alone leaves AutoGen's tool calls running, cancelling the token alone leaves whatever ignores
    it: so the token first, and the task after `grace_s` (notes: defects 3 and 6; tests/agents/test_cancellation.py).
    """
    task = asyncio.ensure_future(work(token))
    try:
        done, _ = await asyncio.wait([task], timeout=timeout_s)
        if not done:
            raise TimeoutError
        if task.cancelled() and not token.is_cancelled():
            raise UpstreamDown("The work was interrupted.", hint="Ask again.")
        return task.result()
    finally:
        if not task.done():
            await wind_down(token, task, grace_s)


@contextlib.asynccontextmanager
async def within(timeout_s: float, what: str) -> AsyncIterator[None]:
    """A deadline for a look-up; raises `UpstreamDown` that names what did not answer."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise UpstreamDown(f"{what} did not answer within {timeout_s:g} s.", hint="Ask again in a moment.") from None


async def wind_down(token: CancellationToken, task: "asyncio.Future[Any]", grace_s: float) -> None:
    """Stop `task`: politely by its token, by force after `grace_s`, at once where the token was cancelled before."""
    asked_before = token.is_cancelled()
    try:
        token.cancel()
        if not asked_before:
            await asyncio.wait([task], timeout=grace_s)
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=grace_s)
        if task.done() and not task.cancelled():
            task.exception()  # seen: otherwise asyncio complains about it later
