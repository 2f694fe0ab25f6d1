"""Runs one step: its agent in its own task, with its own token, budget and clock. No exception crosses it."""

import contextlib
import math
import re
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseChatMessage, ModelClientStreamingChunkEvent, ToolCallRequestEvent
from autogen_core import CancellationToken

from agents.contracts import NEED, NO_ANSWER, Step, StepOutcome
from agents.evidence import reference
from agents.guard import GuardedWorkbench
from agents.prompting import Prompts, defang
from agents.quiet import Quiet
from agents.release import Release
from agents.reviewer import Reviewer
from agents.scope import StepScope, Turn, bounded, child_of
from agents.settings import AgentsSettings
from agents.specialists.base import Equipment, StepSpecialist
from agents.specialists.roster import Roster
from inference.contracts import Models
from runs.events import (
    ApprovalRequested,
    Progress,
    RunEvent,
    Source,
    SourcesFound,
    StepFinished,
    StepStarted,
    StepStatus,
)
from signalbox.errors import BudgetSpent, Bug, NotAllowed, SignalboxError
from toolbus.budget import Budget
from toolbus.contracts import CallContext, ToolBus, ToolOutcome

_SDK_PREFIX = re.compile(r"^Error executing tool [\w.-]+: ")
_OPENING = "*_ \n"
_NEED = re.compile(rf"^[*_ ]*{NEED}[*_]*[ \t]*(\S[^\n]*)$", re.MULTILINE)
_log = structlog.get_logger(__name__)


class StepRunner:
    """Turns a step into an outcome."""

    def __init__(
        self,
        models: Models,
        bus: ToolBus,
        roster: Roster,
        prompts: Prompts,
        reviewer: Reviewer,
        settings: AgentsSettings,
    ) -> None:
        self._models = models
        self._bus = bus
        self._roster = roster
        self._prompts = prompts
        self._reviewer = reviewer
        self._settings = settings

    async def run(
        self, turn: Turn, step: Step, needed: Sequence[StepOutcome], *, release: Release | None
    ) -> StepOutcome:
        """Run `step` with the findings of `needed`; words go to `release` as they come, where one is given."""
        started = time.monotonic()
        task = self._reviewer.clean(step.task)
        turn.note_start(step, task)
        await turn.emit(StepStarted(step_id=step.id, specialist=step.specialist, task=task))
        limit_s = min(step.timeout_s, turn.work.left_s())
        try:
            if (spent := turn.work.spent()) is not None:
                raise BudgetSpent(f"the budget of {spent} was used up before it began")
            outcome = await self._attempt(turn, step, needed, release, limit_s)
        except NotAllowed as error:
            outcome = StepOutcome(step=step, status="denied", reason=error.message)
        except SignalboxError as error:
            outcome = StepOutcome(step=step, status="failed", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the root of a step: it becomes an outcome
            _log.exception("step.crashed", run_id=turn.request.run_id, step=step.id, error=type(error).__name__)
            outcome = StepOutcome(step=step, status="failed", reason="failed inside Signalbox")
        outcome = outcome.model_copy(
            update={
                "duration_ms": round((time.monotonic() - started) * 1000, 1),
                "reason": self._reviewer.clean(outcome.reason),
            }
        )
        await turn.emit(finished(outcome))
        await turn.emit(turn.counted(step.id))
        return outcome

    async def _attempt(
        self, turn: Turn, step: Step, needed: Sequence[StepOutcome], release: Release | None, limit_s: float
    ) -> StepOutcome:
        specialist = self._roster.get(step.specialist)
        if specialist is None:
            raise Bug(f"The plan names {step.specialist!r}, which the check let through.")
        call = self._call_context(turn, step, specialist, limit_s)
        findings = [
            {"step": found.step.id, "specialist": found.step.specialist, "findings": found.findings} for found in needed
        ]

        async def work(token: CancellationToken) -> str:
            scope = StepScope(turn=turn, step=step, call=call, token=token, findings=findings)
            return await self._converse(scope, specialist, release if specialist.streams else None)

        try:
            text = await bounded(work, child_of(turn.token), timeout_s=limit_s, grace_s=self._settings.stop_grace_s)
        except TimeoutError:
            return StepOutcome(step=step, status="timeout", reason=late(limit_s, call.unsettled))
        return judged(step, text, call.outcomes).model_copy(update={"cut": tuple(sorted(call.budget.refused))})

    def _call_context(self, turn: Turn, step: Step, specialist: StepSpecialist, limit_s: float) -> CallContext:
        limits = specialist.limits
        budget = turn.work.child(
            tool_calls=limits.tool_calls,
            tokens=limits.tokens,
            money=math.inf if limits.money is None else limits.money,
            within_s=limit_s,
        )
        asked: set[str] = set()

        async def emit(event: RunEvent) -> None:
            if isinstance(event, ApprovalRequested):
                if event.approval.id in asked:
                    return
                asked.add(event.approval.id)
            if isinstance(event, Progress):
                event = event.model_copy(update={"message": self._reviewer.clean(event.message)})
            await turn.emit(event)

        return CallContext(
            chain=turn.chain.acting(specialist.name),
            run_id=turn.request.run_id,
            step_id=step.id,
            conversation_id=turn.conversation_id,
            budget=budget,
            emit=emit,
            task=step.task,
        )

    async def _converse(self, scope: StepScope, specialist: StepSpecialist, release: Release | None) -> str:
        workbench = None
        if specialist.tools:
            inner = await self._bus.workbench(scope.call, specialist.tools)
            workbench = GuardedWorkbench(inner, scope.call, self._taker(scope))
        client = scope.turn.equipped(self._models.client("specialist", scope.calls))
        if release is None:
            client = Quiet(client)
        agent = specialist.agent(Equipment(client=client, workbench=workbench, prompts=self._prompts))
        task = specialist.task(scope, self._prompts)
        outcomes = scope.call.outcomes

        def grounded() -> bool:
            # Not once an action waits for a person either: what a model says of it then is not for it to say.
            waits = any(outcome.approval is not None for outcome in outcomes)
            return workbench is None or (not waits and any(outcome.status == "ok" for outcome in outcomes))

        speaker = Speaker(release, grounded)
        return await converse(agent, task, scope.call.budget, scope.token, speaker)

    def _taker(self, scope: StepScope) -> Callable[[ToolOutcome], Awaitable[str]]:
        evidence, call = scope.turn.evidence, scope.call

        async def take_up(outcome: ToolOutcome) -> str:
            """Take a result into the evidence; what the model must be told besides the result itself."""
            if outcome.approval is not None:
                await call.emit(ApprovalRequested(step_id=call.step_id, approval=outcome.approval))
            sources = evidence.add(outcome)
            named = [source for source in sources if evidence.is_named(source.ref)]
            if named:
                await call.emit(SourcesFound(step_id=call.step_id, sources=self._quoted(scope, named)))
            ref = sources[0].ref if len(sources) == 1 else ""
            if not ref or ref in outcome.text:
                return ""
            note = f"Cite this result as [#{ref}]."
            # An engine that derives references from what it reads arrives at this one (docs/contracts.md, "Evidence").
            evidence.alias(reference(f"{defang(outcome.text)}\n{note}"), ref)
            return note

        return take_up

    def _quoted(self, scope: StepScope, sources: Sequence[Source]) -> tuple[Source, ...]:
        quotes = [scope.turn.evidence.quote(source.ref, scope.step.task) for source in sources]
        return tuple(
            source.model_copy(update={"quote": self._reviewer.discreet(quote)})
            for source, quote in zip(sources, quotes, strict=True)
        )


class Speaker:
    """Lets a step's words out while it works: never before a tool has really returned something to speak of, and
    never the words of a refusal, which another step may make pointless.
    """

    def __init__(self, release: Release | None, grounded: Callable[[], bool]) -> None:
        self._release = release
        self._grounded = grounded
        self._opening: str | None = ""  # None once something was let out
        self._silent = False

    async def say(self, text: str) -> None:
        """Words as they come."""
        if self._release is None or self._silent or not self._grounded():
            return
        if self._opening is not None:
            self._opening += text
            start = self._opening.lstrip(_OPENING)
            if NO_ANSWER.startswith(start[: len(NO_ANSWER)]):
                self._silent = len(start) >= len(NO_ANSWER)
                return
            text, self._opening = self._opening, None
        await self._release.feed(text)

    async def end(self) -> None:
        """The answer is complete: an opening that might have become a refusal was none."""
        if self._release is not None and self._opening and not self._silent:
            text, self._opening = self._opening, None
            await self._release.feed(text)

    def take_back(self) -> None:
        """The words before a tool call were thinking aloud: what is still held back never leaves."""
        self._opening, self._silent = "", False
        if self._release is not None:
            self._release.discard()


async def converse(agent: BaseChatAgent, task: str, budget: Budget, token: CancellationToken, speaker: Speaker) -> str:
    """Let an agent work to its last message, which is returned; raises `BudgetSpent` where it may not go on."""
    last = ""
    stream = agent.run_stream(task=task, cancellation_token=token, output_task_messages=False)
    async with contextlib.aclosing(stream) as messages:
        async for message in messages:
            if isinstance(message, TaskResult):
                continue
            if isinstance(message, ModelClientStreamingChunkEvent):
                await speaker.say(message.content)
            elif isinstance(message, ToolCallRequestEvent):
                speaker.take_back()
                if (spent := budget.spent()) is not None:
                    raise BudgetSpent(f"its budget of {spent} was used up")
            elif isinstance(message, BaseChatMessage):
                last = message.to_model_text()
    await speaker.end()
    return last


def judged(step: Step, text: str, outcomes: Sequence[ToolOutcome]) -> StepOutcome:
    """What a step amounts to, from what its tools really said; its own words decide only whether it found an answer."""
    approvals = tuple(outcome.approval for outcome in outcomes if outcome.approval is not None)
    status: StepStatus = "ok"
    reason = ""
    if approvals:
        status = "awaiting_approval"
    elif outcomes and not any(outcome.status == "ok" for outcome in outcomes):
        denied = [outcome for outcome in outcomes if outcome.status == "denied"]
        status = "denied" if denied else "failed"
        reason = _SDK_PREFIX.sub("", (denied or outcomes)[-1].text)[:300]
    text, need = _need(text)
    stripped = text.lstrip(_OPENING)
    return StepOutcome(
        step=step,
        status=status,
        findings=text,
        declined=stripped.startswith(NO_ANSWER) or not stripped,
        need=need,
        reason=reason,
        approvals=tuple({approval.id: approval for approval in approvals}.values()),
    )


def late(limit_s: float, unsettled: Sequence[str]) -> str:
    """Why a step ended that took too long, and what is not known of it."""
    reason = f"did not answer within {limit_s:.3g} s"
    if not unsettled:
        return reason
    return f"{reason}; whether {' and '.join(dict.fromkeys(unsettled))} took effect is unknown"


def _need(text: str) -> tuple[str, str]:
    """A reply without the lines that say what somebody else must find out, and what they say."""
    needs = [match[1].strip() for match in _NEED.finditer(text)]
    return _NEED.sub("", text).strip(), "; ".join(needs)[:500]


def finished(outcome: StepOutcome) -> StepFinished:
    """The event that ends a step."""
    return StepFinished(
        step_id=outcome.step.id,
        specialist=outcome.step.specialist,
        status=outcome.status,
        duration_ms=outcome.duration_ms,
        reason=outcome.reason,
    )
