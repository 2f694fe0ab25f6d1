"""A remote A2A agent as a source of one tool on the bus: `NAME__ask`, behind the filters that every tool meets.

The card is its listing, looked at again every now and then and after every failure, so that a changed card is noticed
and an agent that is gone is known to be. What the agent says is data for the run, never an instruction.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import httpx
import structlog
from a2a.client import Client
from a2a.client.errors import A2AClientError
from a2a.types import TaskState
from a2a.utils.errors import A2AError, InternalError
from google.protobuf.json_format import ParseError

from a2a_bridge.connection import RemoteConnection
from a2a_bridge.declared import declared
from a2a_bridge.exchange import Exchange, Heard
from a2a_bridge.settings import RemoteAgent
from signalbox.errors import SignalboxError, ToolFault, UpstreamDown
from toolbus.gate import CallGate, NotUp, Unanswered
from toolbus.settings import ToolBusSettings
from toolbus.sources import DeclaredTool, OnListed, SourceCall, SourceResult

_log = structlog.get_logger(__name__)
_READ_FACTOR = 4
_MAX_SAID_CHARS = 140
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class RemoteAgentSource:
    """One remote agent. There is no connection to keep: a task is one exchange, the card says whether it is there."""

    def __init__(self, name: str, remote: RemoteAgent, settings: ToolBusSettings, *, card_refresh_s: float) -> None:
        self._name = name
        self._remote = remote
        self._settings = settings
        self._refresh_s = card_refresh_s
        self._gate = CallGate(name, settings)
        self._connection = RemoteConnection(remote)
        self._client: Client | None = None
        self._declared: DeclaredTool | None = None
        self._watching: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._look_now = asyncio.Event()
        self._failed_looks = 0
        self._trouble = "starting"

    @property
    def name(self) -> str:
        """The first part of its tool's name."""
        return self._name

    @property
    def ours(self) -> bool:
        """Never: it gets no token and knows no dry run."""
        return False

    @property
    def auto_approve(self) -> bool:
        """Whether its entry in the settings is its review."""
        return self._remote.auto_approve

    @property
    def call_timeout_s(self) -> float | None:
        """How long one task of it may take."""
        return self._remote.timeout_s

    @property
    def restarts(self) -> int:
        """There is no connection that could be lost."""
        return 0

    def is_offering(self) -> bool:
        """Whether it showed its card when it was last asked for it, and its circuit is closed."""
        return not self._trouble and not self._gate.trouble

    def status(self) -> str:
        """`up`, or what is wrong."""
        return self._trouble or self._gate.trouble or "up"

    async def start(self, on_listed: OnListed) -> None:
        """Look at the card, and again from time to time; that it cannot be had is the status."""
        await self._look(on_listed)
        self._watching = asyncio.create_task(self._watch(on_listed), name=f"agent card of {self.name}")

    async def close(self) -> None:
        """Let what was cancelled be cancelled over there, then disconnect."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        if self._leaving:
            _, late = await asyncio.wait(self._leaving, timeout=self._settings.shutdown_timeout_s)
            for task in late:
                task.cancel()
        self._trouble = "stopped"
        await self._connection.close()

    async def call(self, call: SourceCall) -> SourceResult:
        """One task; sent once more only where that does no harm."""
        try:
            return await self._gate.run(call, lambda: self._asked(call))
        except NotUp:
            raise
        except (Unanswered, UpstreamDown):
            self._look_now.set()
            raise

    async def _asked(self, call: SourceCall) -> SourceResult:
        try:
            return await self._exchanged(call)
        except Unanswered:
            if not call.replayable:
                raise
        return await self._exchanged(call)

    async def _exchanged(self, call: SourceCall) -> SourceResult:
        if self._client is None:
            raise NotUp(f"The agent {self.name!r} is not available: {self.status()}.")
        exchange = Exchange(self._client, call, max_chars=self._settings.max_result_bytes * _READ_FACTOR)
        try:
            heard = await exchange.run()
        except (A2AError, httpx.HTTPError, ParseError, ValueError) as error:
            raise self._fault(error, call, begun=bool(exchange.task_id)) from error
        finally:
            if not exchange.heard.ended:
                self._leave(exchange)
        if not heard.settled:
            raise self._broke_off("it ended the exchange before the task", call)
        return self._result(heard)

    def _leave(self, exchange: Exchange) -> None:
        # A task of its own: whoever called is being cancelled or is out of time, and need not wait for this.
        task = asyncio.create_task(exchange.leave(), name=f"leave {self.name}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _result(self, heard: Heard) -> SourceResult:
        if heard.state == TaskState.TASK_STATE_COMPLETED:
            if heard.text:
                return SourceResult(heard.text)
            return SourceResult(f"The agent {self.name!r} ended without an answer.", is_error=True)
        return SourceResult(_unfinished(self.name, heard), is_error=True)

    def _fault(self, error: Exception, call: SourceCall, *, begun: bool) -> SignalboxError:
        causes = list(_causes(error))
        if any(isinstance(cause, _NEVER_SENT) for cause in causes):
            return UpstreamDown(f"The agent {self.name!r} cannot be reached; it was not asked.")
        status = next((cause.response.status_code for cause in causes if isinstance(cause, httpx.HTTPStatusError)), 0)
        if not begun and 300 <= status < 500:
            return ToolFault(f"The agent {self.name!r} refused the task with status {status}.")
        if not begun and isinstance(error, A2AError) and not isinstance(error, (A2AClientError, InternalError)):
            return ToolFault(f"The agent {self.name!r} refused the task: {_quoted(str(error))}")
        return self._broke_off(f"status {status}" if status else type(causes[-1]).__name__, call)

    def _broke_off(self, how: str, call: SourceCall) -> Unanswered:
        unknown = "" if call.replayable else " Whether it did anything is unknown."
        hint = "" if call.replayable else "Find that out before you ask it again."
        return Unanswered(f"The exchange with the agent {self.name!r} broke off ({how}).{unknown}", hint=hint)

    # -- its card

    async def _watch(self, on_listed: OnListed) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._look_now.wait()
            self._look_now.clear()
            await self._look(on_listed)

    def _pause_s(self) -> float:
        if not self._failed_looks:
            return self._refresh_s
        settings = self._settings
        return min(settings.restart_backoff_s * 2 ** (self._failed_looks - 1), settings.restart_backoff_max_s)

    async def _look(self, on_listed: OnListed) -> None:
        trouble = ""
        try:
            card = await self._connection.card()
            client = self._connection.client(card)
            tool = declared(card, self._remote)
            if tool != self._declared:
                on_listed(self, [tool])
                self._declared = tool
            self._client = client
        except SignalboxError as error:
            trouble = str(error)
        except Exception as error:  # noqa: BLE001 - the root of the watch: whatever a card holds, it is looked at again
            _log.error("a2a.card_unusable", agent=self.name, error=type(error).__name__)
            trouble = "its card cannot be used"
        if trouble and trouble != self._trouble:
            _log.warning("a2a.agent_down", agent=self.name, reason=trouble)
        self._failed_looks = min(self._failed_looks + 1, 20) if trouble else 0
        self._trouble = trouble


def _unfinished(name: str, heard: Heard) -> str:
    """What became of a task that has no answer, with the agent's own words for it."""
    said = _quoted(heard.said)
    words = f": {said}" if said else "."
    match heard.state:
        case TaskState.TASK_STATE_INPUT_REQUIRED:
            asked = f"asks before it goes on: {said}" if said else "asks for more, and does not say for what."
            end = "Its task was ended there: ask again with what it needs, or turn to it directly."
            return f"The agent {name!r} {asked} {end}"
        case TaskState.TASK_STATE_AUTH_REQUIRED:
            return f"The agent {name!r} asks for other credentials{words} Its task was ended there."
        case TaskState.TASK_STATE_REJECTED:
            return f"The agent {name!r} declined the task{words}"
        case TaskState.TASK_STATE_CANCELED:
            return f"The agent {name!r} cancelled the task{words}"
        case _:
            return f"The agent {name!r} failed{words}"


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    shown = line if len(line) <= _MAX_SAID_CHARS else line[: _MAX_SAID_CHARS - 1].rsplit(" ", 1)[0] + "…"
    return f"“{shown}”" if shown else ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
