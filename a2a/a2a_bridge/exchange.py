"""One task at a remote agent: from the message to the end of the task, or to its cancellation over there."""

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, field

import httpx
import structlog
from a2a.client import Client
from a2a.helpers import get_artifact_text, get_message_text, new_text_message
from a2a.types import Artifact, CancelTaskRequest, Role, SendMessageRequest, StreamResponse, TaskState, TaskStatus
from a2a.utils.errors import A2AError

from toolbus.sources import SourceCall

_log = structlog.get_logger(__name__)
_CANCEL_TIMEOUT_S = 3.0
_NAME_TIMEOUT_S = 0.7
_PROGRESS_EVERY_S = 0.5
_MAX_PROGRESS_CHARS = 200
_ENDED = frozenset(
    {
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_REJECTED,
        TaskState.TASK_STATE_CANCELED,
    }
)
_WAITING = frozenset({TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED})


@dataclass
class Heard:
    """What came back so far: the state of the task, what the agent says to that, and its artifacts."""

    max_chars: int
    state: TaskState = TaskState.TASK_STATE_UNSPECIFIED
    said: str = ""
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    room: int = 0

    def __post_init__(self) -> None:
        self.room = self.max_chars

    @property
    def ended(self) -> bool:
        """Whether nothing of the task is left over there."""
        return self.state in _ENDED

    @property
    def settled(self) -> bool:
        """Whether nothing more will come."""
        return self.ended or self.state in _WAITING

    @property
    def text(self) -> str:
        """The artifacts, else the agent's last word."""
        found = [text for parts in self.artifacts.values() if (text := "".join(parts).strip())]
        return "\n\n".join(found) or self.said.strip()

    def take_status(self, status: TaskStatus) -> None:
        """The task is in this state now."""
        self.state = status.state
        self.said = get_message_text(status.message)[: self.max_chars] if status.HasField("message") else ""

    def take_artifact(self, artifact: Artifact, *, append: bool) -> None:
        """An artifact, or a piece more of one; what is beyond the room is dropped."""
        text = get_artifact_text(artifact, delimiter="")[: self.room]  # what was streamed in pieces are parts of it
        self.room -= len(text)
        if append:
            self.artifacts.setdefault(artifact.artifact_id, []).append(text)
        else:
            self.artifacts[artifact.artifact_id] = [text]


class Exchange:
    """Sends the task of one call; to be left when nobody waits for it any more."""

    def __init__(self, client: Client, call: SourceCall, *, max_chars: int) -> None:
        self._client = client
        self._call = call
        self._named = asyncio.Event()
        self._listening: asyncio.Future[None] | None = None
        self._told_at = 0.0
        self._left = False
        self.task_id = ""
        self.heard = Heard(max_chars)

    async def run(self) -> Heard:
        """All that the agent answers. Cancelled, it goes on to listen until it is left."""
        self._listening = asyncio.ensure_future(self._listen())
        await asyncio.shield(self._listening)
        return self.heard

    async def leave(self) -> None:
        """Cancel the task over there and hang up; never raises.

        Who hangs up before the task has a name leaves it running: so wait for that a little.
        """
        self._left = True
        listening = self._listening
        if listening is None:
            return
        if not self.task_id and not listening.done():
            naming = asyncio.ensure_future(self._named.wait())
            await asyncio.wait([naming, listening], timeout=_NAME_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            naming.cancel()
        if not self.heard.ended:
            await self._cancel()
        listening.cancel()
        await asyncio.wait([listening], timeout=_NAME_TIMEOUT_S)
        if listening.done() and not listening.cancelled():
            listening.exception()  # seen

    async def _listen(self) -> None:
        message = new_text_message(self._call.arguments["task"], role=Role.ROLE_USER)
        if self._call.idempotency_key:
            message.message_id = self._call.idempotency_key  # the same call sent again can be told by it
        async with aclosing(self._client.send_message(SendMessageRequest(message=message))) as events:  # type: ignore[type-var]  # declared wider than it is
            async for event in events:
                await self._take(event)
                if self.heard.settled:
                    return

    async def _take(self, event: StreamResponse) -> None:
        heard = self.heard
        if event.HasField("task"):
            self.task_id = event.task.id
            self._named.set()
            heard.take_status(event.task.status)
            for artifact in event.task.artifacts:
                heard.take_artifact(artifact, append=False)
        elif event.HasField("status_update"):
            heard.take_status(event.status_update.status)
            await self._tell(heard.said)
        elif event.HasField("artifact_update"):
            heard.take_artifact(event.artifact_update.artifact, append=event.artifact_update.append)
        elif event.HasField("message"):  # an answer at once, without a task
            heard.said = get_message_text(event.message)[: heard.max_chars]
            heard.state = TaskState.TASK_STATE_COMPLETED

    async def _tell(self, words: str) -> None:
        """Pass on what the agent says of its work, as often as somebody can read it."""
        now = time.monotonic()
        heeded = not self._left and not self.heard.settled and words.strip()
        if not heeded or self._call.on_progress is None or now - self._told_at < _PROGRESS_EVERY_S:
            return
        self._told_at = now
        await self._call.on_progress(0, None, words[:_MAX_PROGRESS_CHARS])

    async def _cancel(self) -> None:
        if not self.task_id:
            return
        try:
            async with asyncio.timeout(_CANCEL_TIMEOUT_S):
                await self._client.cancel_task(CancelTaskRequest(id=self.task_id))
        except (A2AError, httpx.HTTPError, TimeoutError) as error:
            _log.warning("a2a.cancel_failed", task=self.task_id[:100], error=type(error).__name__)
