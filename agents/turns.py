"""The one way a turn is run, whatever surface asks for it: open, record, work, review, record, end."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from autogen_core import CancellationToken

from agents.channel import Channel
from agents.contracts import TurnRequest
from agents.crews import Crews
from agents.direct import DirectAnswer
from agents.evidence import Evidence
from agents.history import from_context
from agents.memory import Recalled, recall
from agents.notes import OUT_OF_TIME
from agents.orchestrator import Crew, Orchestrator
from agents.release import Release
from agents.reviewer import Reviewer
from agents.scope import Turn, bounded, wind_down, within
from agents.settings import AgentsSettings
from agents.stop_audit import StopAudit
from conversations.contracts import ConversationStore
from inference.contracts import CallScope, Purpose, UsageMeter
from runs.events import RunCancelled, RunEvent, RunFailed, RunFinished, RunResult, RunStarted
from signalbox.errors import Bug, Conflict, SignalboxError, UpstreamDown
from signalbox.identity import Principal
from toolbus.contracts import Budget

DIRECT = "direct"
_BACKGROUND = 5
"""The priority of calls that nobody waits for (`inference.limits.background_priority`)."""
_log = structlog.get_logger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Turns:
    """Runs turns (`agents.contracts.TurnRunner`). `agents.assembly.build_turns` puts one together."""

    def __init__(
        self,
        conversations: ConversationStore,
        crews: Crews,
        settings: AgentsSettings,
        *,
        clock: Callable[[], datetime] = _now,
        stops: StopAudit | None = None,
    ) -> None:
        self._conversations = conversations
        self._stops = stops
        self._crews = crews
        self._settings = settings
        self._clock = clock
        self._live: dict[str, _Run] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._remembering: set[asyncio.Task[None]] = set()

    @property
    def reviewer(self) -> Reviewer:
        """The output gate of this installation, for what leaves outside of a run (the outcome of an action)."""
        return self._crews.current.reviewer

    async def run(self, request: TurnRequest) -> AsyncIterator[RunEvent]:
        """The events of one run, its terminal event last. Closing the iterator stops everything that works for it."""
        run = _Run(request, Channel(request.run_id, size=self._settings.queue_events))
        if request.run_id in self._live:
            taken = Conflict(f"There is a run {request.run_id!r} already.", hint="Give each run an id of its own.")
            yield run.channel.numbered(RunFailed(code=taken.code, message=str(taken), status=taken.status))
            return
        run.job = asyncio.create_task(self._work(run), name=f"turn {request.run_id}")
        self._live[request.run_id] = run
        try:
            async with contextlib.aclosing(run.channel.events()) as events:
                async for event in events:
                    yield event
            if run.stopping is not None:
                await asyncio.shield(run.stopping)
            if run.turn is not None:
                yield run.channel.numbered(run.turn.counted())
            yield run.channel.numbered(run.ending())
        finally:
            if not run.job.done():
                run.channel.end()
                await asyncio.shield(self._stop(run, "the reader went away"))
            self._live.pop(request.run_id, None)

    async def cancel(self, principal: Principal, run_id: str, *, reason: str = "stopped by the user") -> bool:
        """Stop a run of this principal; False when there is none. Its reader gets `RunCancelled` as the last event."""
        run = self._live.get(run_id)
        if run is None or run.job.done() or _owner(run.request.principal) != _owner(principal):
            return False
        await asyncio.shield(self._stop(run, reason))
        return run.job.cancelled()

    async def close(self) -> None:
        """Stop every run and wait until the last one is recorded."""
        stops = [self._stop(run, "Signalbox is shutting down") for run in self._live.values() if not run.job.done()]
        for task in self._remembering:
            task.cancel()
        await asyncio.gather(*stops, *self._closing, *self._remembering, return_exceptions=True)

    def _stop(self, run: "_Run", reason: str) -> "asyncio.Task[None]":
        # A task of its own: whoever asked for the stop may be cancelled itself meanwhile.
        if run.stopping is None:
            run.reason = reason
            run.stopping = asyncio.create_task(self._wind_down(run), name=f"stop {run.request.run_id}")
            self._closing.add(run.stopping)
            run.stopping.add_done_callback(self._closing.discard)
        return run.stopping

    async def _wind_down(self, run: "_Run") -> None:
        if run.answered:  # all that is left is to write it down
            await asyncio.wait([run.job], timeout=self._settings.lookup_timeout_s)
            return
        await wind_down(run.turn.token if run.turn else CancellationToken(), run.job, self._settings.stop_grace_s)
        if run.job.done() and not run.job.cancelled():
            return  # it was through before it noticed, and has recorded itself
        _log.info("run.cancelled", run_id=run.request.run_id, reason=run.reason)
        if self._stops is not None:
            steps, words = (run.turn.reports(), run.turn.release.text) if run.turn else ((), "")
            self._stops.stopped(run.request, reason=run.reason, steps=steps, released_chars=len(words))
        if run.turn is not None:
            await self._record(run.turn, self._result(run, run.turn).model_copy(update={"cancelled": True}))

    async def _work(self, run: "_Run") -> RunEvent:
        try:
            return await self._attempt(run)
        finally:
            run.channel.end()

    async def _attempt(self, run: "_Run") -> RunEvent:
        try:
            return RunFinished(result=await self._turn(run))
        except SignalboxError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - the root of a run: it becomes RunFailed
            _log.exception("run.crashed", run_id=run.request.run_id, error=type(error).__name__)
            failure = Bug(
                "Something went wrong inside Signalbox.", hint=f"Tell your administrator: {run.request.run_id}."
            )
        _log.warning("run.failed", run_id=run.request.run_id, code=failure.code)
        if run.turn is not None and run.turn.release.text:
            await self._record(run.turn, self._result(run, run.turn))
        message = self._crews.current.reviewer.discreet(str(failure))
        return RunFailed(code=failure.code, message=message, status=failure.status)

    async def _turn(self, run: "_Run") -> RunResult:
        turn, crew = await self._open(run)
        run.turn, run.crew = turn, crew
        await turn.emit(RunStarted(conversation_id=turn.conversation_id, model=turn.request.model))
        direct = turn.request.model == DIRECT
        answer = DirectAnswer(turn, crew.models) if direct else Orchestrator(turn, crew)
        try:
            await bounded(
                lambda token: answer.run(task=turn.request.text or "…", cancellation_token=token),
                turn.token,
                timeout_s=self._settings.turn_timeout_s,
                grace_s=self._settings.stop_grace_s,
            )
        except TimeoutError:
            turn.release.discard()
            if not turn.release.text:
                raise UpstreamDown(
                    f"There was no answer within {self._settings.turn_timeout_s:g} s.",
                    hint="Ask again, or ask for less.",
                ) from None
            await turn.release.add(OUT_OF_TIME)
        result = self._result(run, turn, answer)
        run.answered = True
        async with within(self._settings.lookup_timeout_s, "The conversation store"):
            await self._keep(turn, result)
        self._remember(run, turn, crew)
        return result

    async def _keep(self, turn: Turn, result: RunResult) -> None:
        """Write the answer down; of a run that is not kept only what an action needs that waits for somebody."""
        request, store = turn.request, self._conversations
        if not request.kept:
            if not turn.approvals:
                return
            await store.add_question(request.principal, turn.conversation_id, request.run_id, request.text)
        await store.add_answer(request.principal, turn.conversation_id, result)

    async def _open(self, run: "_Run") -> tuple[Turn, Crew]:
        request, settings = run.request, self._settings
        async with within(settings.lookup_timeout_s, "The conversation store"):
            conversation = await self._conversations.open(request.principal, request.conversation_id)
            if request.conversation_id is None:
                recalled = Recalled(*from_context(request.context, settings))
            else:
                recalled = await recall(self._conversations, request.principal, conversation.id, settings)
            if request.kept:
                asked = (request.principal, conversation.id, request.run_id, request.text)
                await self._conversations.add_question(*asked, known=request.conversation_id is not None)
        crew = await self._crews.choose(conversation.id)
        evidence = Evidence()
        budget, work = _budgets(settings)
        scope = CallScope(
            tenant=request.principal.tenant,
            conversation_id=conversation.id,
            run_id=request.run_id,
            meter=UsageMeter(charge=budget.charge),
            priority=request.priority,
        )
        turn = Turn(
            request=request,
            conversation_id=conversation.id,
            history=recalled.history,
            summary=recalled.summary,
            today=self._clock().date().isoformat(),
            calls=scope,
            budget=budget,
            work=work,
            emit=run.channel.emit,
            evidence=evidence,
            release=Release(crew.reviewer, evidence, run.channel.emit, scope),
            release_name=crew.release,
            asked_before=recalled.asked_back,
        )
        run.recalled = recalled
        return turn, crew

    def _remember(self, run: "_Run", turn: Turn, crew: Crew) -> None:
        """Renew the conversation's summary where it is due; nobody waits for it."""
        every = self._settings.summary_every
        if every and turn.request.kept and len(run.recalled.due) >= every:
            task = asyncio.create_task(self._renew(run.recalled, turn, crew), name=f"memory {turn.conversation_id}")
            self._remembering.add(task)
            task.add_done_callback(self._remembering.discard)

    async def _renew(self, recalled: Recalled, turn: Turn, crew: Crew) -> None:
        try:
            # The run is on record already: it pays from what is left of its budget, its usage stays as it was told.
            meter = UsageMeter(charge=turn.budget.charge)
            scope = replace(turn.calls, meter=meter, priority=_BACKGROUND)
            summary = await crew.memory.write(recalled, scope, by_model=turn.budget.spent() is None)
            async with asyncio.timeout(self._settings.lookup_timeout_s):
                await self._conversations.keep_summary(turn.request.principal, turn.conversation_id, summary)
        except Exception as error:  # noqa: BLE001 - the root of a task; the next turn tries again
            _log.warning("summary.not_kept", run_id=turn.request.run_id, error=type(error).__name__)

    def _result(self, run: "_Run", turn: Turn, answer: "DirectAnswer | Orchestrator | None" = None) -> RunResult:
        meter = turn.calls.meter
        crew = run.crew or self._crews.current
        purpose: Purpose = answer.answered_by if answer else "planner"
        reason = "content_filter" if turn.release.withheld else (answer.finish_reason if answer else "stop")
        return RunResult(
            run_id=turn.request.run_id,
            conversation_id=turn.conversation_id,
            text=turn.release.text,
            engine=_engine(crew.models.engine(purpose), meter.engines),
            declined=answer.declined if answer else False,
            degraded=meter.degraded,
            steps=turn.reports(),
            sources=turn.release.sources(turn.request.text),
            approvals=tuple(turn.approvals),
            usage=meter.usage,
            cost=meter.cost,
            purposes={**meter.purposes},
            assumptions=turn.assumptions,
            question=turn.question,
            unsupported=turn.release.unsupported,
            release=crew.release,
            finish_reason="length"
            if reason == "length"
            else "content_filter"
            if reason == "content_filter"
            else "stop",
        )

    async def _record(self, turn: Turn, result: RunResult) -> None:
        """Keep what was released of a run that did not finish; the run's own end does not hang on it."""
        try:
            async with asyncio.timeout(self._settings.lookup_timeout_s):
                await self._keep(turn, result)
        except Exception as error:  # noqa: BLE001 - the run ends whether or not it could be recorded
            _log.exception("run.not_recorded", run_id=turn.request.run_id, error=type(error).__name__)


class _Run:
    """A run from its first moment, before there is a turn, to its terminal event."""

    def __init__(self, request: TurnRequest, channel: Channel) -> None:
        self.request = request
        self.channel = channel
        self.turn: Turn | None = None
        self.crew: Crew | None = None
        self.recalled = Recalled()
        self.job: asyncio.Task[RunEvent]
        self.stopping: asyncio.Task[None] | None = None
        self.answered = False
        self.reason = ""

    def ending(self) -> RunEvent:
        """The terminal event."""
        return RunCancelled(reason=self.reason) if self.job.cancelled() else self.job.result()


def _budgets(settings: AgentsSettings) -> tuple[Budget, Budget]:
    """The run's budget, and below it that of its steps: what they leave pays for bringing their findings together."""
    money = math.inf if settings.money is None else settings.money
    run = Budget(settings.tool_calls, settings.tokens, time.monotonic() + settings.turn_timeout_s, money=money)
    share = 1 - settings.reserve
    kept_s = min(settings.reserve * settings.turn_timeout_s, settings.synthesiser_timeout_s)
    work = run.child(
        tool_calls=settings.tool_calls,
        tokens=math.ceil(settings.tokens * share),
        money=money * share,
        within_s=settings.turn_timeout_s - kept_s,
    )
    return run, work


def _owner(principal: Principal) -> tuple[str, str]:
    return principal.tenant, principal.user


def _engine(intended: str, used: Iterable[str]) -> str:
    names = sorted(used)
    return intended if not names or intended in names else names[0]
