"""One A2A task is one turn: run events become task updates, a task's context becomes a conversation."""

import contextlib
from typing import Any, Protocol, assert_never

from a2a.helpers import new_data_part, new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater
from a2a.types import Part, TaskState
from google.protobuf.json_format import MessageToDict

from a2a_bridge.identity import PrincipalUser
from agents.contracts import TurnRequest, TurnRunner
from conversations.contracts import ConversationStore
from runs.events import (
    AnswerSegment,
    ApprovalRequested,
    PlanMade,
    Progress,
    RunCancelled,
    RunEvent,
    RunFailed,
    RunFinished,
    RunResult,
    RunStarted,
    SourcesFound,
    StepFinished,
    StepStarted,
    ToolCalled,
    ToolFinished,
    UsageCounted,
)
from runs.ids import new_run_id
from signalbox.errors import NotAuthenticated, SignalboxError
from signalbox.identity import Principal

ANSWER = "answer"
_APPROVE = frozenset({"approve", "approved", "yes", "y", "ok"})
_DENY = frozenset({"deny", "denied", "no", "n", "reject"})


class Decider(Protocol):
    """Decides approvals on behalf of a principal (implemented in wiring by `runs.approvals`)."""

    async def decide(self, principal: Principal, approval_id: str, *, approve: bool, reason: str) -> str:
        """Decide once and say in a sentence what came of it."""
        ...


class TurnExecutor(AgentExecutor):
    """Runs a turn for each message and streams it as artifact chunks and status updates."""

    def __init__(self, turns: TurnRunner, conversations: ConversationStore, decider: Decider) -> None:
        self._turns = turns
        self._conversations = conversations
        self._decider = decider

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Answer one message; a follow-up on a task that waits for approval decides it."""
        # a2a-sdk 1.3.0 hands a follow-up without contextId a NEW context id: the task's own is the right one.
        task = context.current_task
        context_id = task.context_id if task else context.context_id
        if context.message is None or context.task_id is None or context_id is None:
            raise ValueError("The request holds no message.")
        if task is None:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        updater = TaskUpdater(event_queue, context.task_id, context_id)
        principal = _principal(context)
        await updater.start_work()
        text = context.get_user_input()
        waiting = _waiting_approvals(context)
        if waiting:
            await self._decide(principal, updater, waiting, text)
        else:
            await self._answer(principal, updater, context_id, text)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Say that the task is cancelled; the SDK then cancels `execute`, which closes the run.

        What the task proposed and nobody decided is declined: whoever asked for it wants it no more.
        """
        task = context.current_task
        for approval_id in _waiting_approvals(context):
            with contextlib.suppress(SignalboxError):  # decided elsewhere meanwhile: that holds
                await self._decider.decide(
                    _principal(context), approval_id, approve=False, reason="The task was cancelled."
                )
        await TaskUpdater(event_queue, context.task_id or "", task.context_id if task else "").cancel()

    async def _answer(self, principal: Principal, updater: TaskUpdater, context_id: str, text: str) -> None:
        conversation = await self._conversations.adopt(principal, f"a2a:{context_id}")
        request = TurnRequest(
            principal=principal, text=text, run_id=new_run_id(), surface="a2a", conversation_id=conversation.id
        )
        relay = _Relay(updater)
        try:
            async with contextlib.aclosing(self._turns.run(request)) as events:  # type: ignore[type-var]
                async for event in events:
                    await relay.handle(event)
        except SignalboxError as error:
            await updater.failed(updater.new_agent_message([Part(text=str(error))]))

    async def _decide(self, principal: Principal, updater: TaskUpdater, waiting: list[str], text: str) -> None:
        word = text.strip().strip(".!").lower()
        if word not in _APPROVE | _DENY:
            again = [Part(text="Please answer `approve` or `deny`."), new_data_part({"approvals": waiting})]
            await updater.requires_input(updater.new_agent_message(again))
            return
        try:
            said = [
                await self._decider.decide(principal, approval_id, approve=word in _APPROVE, reason="")
                for approval_id in waiting
            ]
        except SignalboxError as error:
            await updater.failed(updater.new_agent_message([Part(text=str(error))]))
            return
        await updater.add_artifact([Part(text="\n".join(said))], name="decision", last_chunk=True)
        await updater.complete()


class _Relay:
    """Translates the events of one run into updates of one task."""

    def __init__(self, updater: TaskUpdater) -> None:
        self._updater = updater
        self._started_answer = False

    async def handle(self, event: RunEvent) -> None:
        match event:
            case AnswerSegment():
                await self._updater.add_artifact(
                    [Part(text=event.text)],
                    artifact_id=ANSWER,
                    name=ANSWER,
                    append=self._started_answer,
                    last_chunk=False,
                )
                self._started_answer = True
            case StepStarted() | StepFinished() | Progress() | PlanMade() | ToolCalled() | ToolFinished():
                metadata = {"signalbox": {"event": event.model_dump(mode="json")}}
                await self._updater.update_status(TaskState.TASK_STATE_WORKING, metadata=metadata)
            case RunFinished():
                await self._finish(event.result)
            case RunFailed():
                await self._updater.failed(self._updater.new_agent_message([Part(text=event.message)]))
            case RunCancelled():
                await self._updater.cancel()
            case RunStarted() | SourcesFound() | ApprovalRequested() | UsageCounted():
                pass  # all of it stands in the final record
            case _:
                assert_never(event)

    async def _finish(self, result: RunResult) -> None:
        record = result.model_dump(mode="json", exclude={"text"})
        await self._updater.add_artifact([new_data_part(record)], name="record", last_chunk=True)
        if result.approvals:
            parts = [Part(text=approval.preview) for approval in result.approvals]
            ids = [approval.id for approval in result.approvals]
            message = self._updater.new_agent_message([*parts, new_data_part({"approvals": ids})])
            await self._updater.requires_input(message)
        else:
            await self._updater.complete()


def _principal(context: RequestContext) -> Principal:
    user = context.call_context.user if context.call_context else None
    if not isinstance(user, PrincipalUser):
        raise NotAuthenticated("This A2A call carries no principal.", hint="Send a Signalbox API key as bearer token.")
    return user.principal


def _waiting_approvals(context: RequestContext) -> list[str]:
    task = context.current_task
    if task is None or task.status.state != TaskState.TASK_STATE_INPUT_REQUIRED:
        return []
    for part in task.status.message.parts:
        if part.HasField("data"):
            data: Any = MessageToDict(part.data)
            return [str(item) for item in data.get("approvals", [])]
    return []
