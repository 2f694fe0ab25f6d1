"""A real A2A server of ours on a port, with scripted turns behind it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from a2a.types import AgentCard
from a2a_bridge.card import build_card
from a2a_bridge.executor import TurnExecutor
from a2a_bridge.server import A2AFace
from a2a_bridge.settings import A2ASettings
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from agents.contracts import TurnRequest
from agents.settings import AgentsSettings
from agents.specialists.roster import load_specialists
from conversations.contracts import Conversation
from runs.events import AnswerSegment, ApprovalView, RunEvent, RunFailed, RunFinished, RunResult, RunStarted
from signalbox.database import open_engine, sqlite_url
from signalbox.identity import Principal

ADA = Principal(user="ada", groups=frozenset({"staff"}))


@dataclass
class ScriptedTurns:
    """Answers by what the message begins with; remembers what it was asked and what was stopped."""

    asked: list[TurnRequest] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, request: TurnRequest) -> AsyncGenerator[RunEvent, None]:
        self.asked.append(request)
        conversation = request.conversation_id or ""
        yield RunStarted(conversation_id=conversation, model="signalbox")
        result = RunResult(run_id=request.run_id, conversation_id=conversation, text="", engine="scripted")
        match request.text.split()[0]:
            case "slow":
                try:
                    await asyncio.sleep(60)
                finally:
                    self.stopped.set()
            case "fail":
                yield RunFailed(code="upstream_down", message="The model is not there.")
                return
            case "act":
                approval = ApprovalView(id="appr_1", tool="desk__create_ticket", preview="Creates one.", arguments={})
                result = result.model_copy(update={"approvals": (approval,)})
        yield AnswerSegment(text="Two days. ")
        yield AnswerSegment(text="Ask your manager.")
        yield RunFinished(result=result)


class Conversations:
    """Only what the executor needs of a store."""

    async def adopt(self, principal: Principal, external_id: str) -> Conversation:
        now = datetime.now(UTC)
        return Conversation(id=f"conv_{principal.user}_{external_id}", title="", created_at=now, updated_at=now)


class Decisions:
    """Remembers what was decided."""

    def __init__(self) -> None:
        self.made: list[tuple[str, bool]] = []

    async def decide(self, principal: Principal, approval_id: str, *, approve: bool, reason: str) -> str:
        self.made.append((approval_id, approve))
        return "The ticket was created." if approve else "Nothing was done."


class Signed:
    """Stands where the gateway's authentication stands; notes what was asked for."""

    def __init__(self, app: Starlette, principal_of: Callable[[Scope], Principal], requests: list[str]) -> None:
        self._app = app
        self._principal_of = principal_of
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._requests.append(scope["path"])
            scope.setdefault("state", {})["principal"] = self._principal_of(scope)
        await self._app(scope, receive, send)


@dataclass
class Served:
    """Where it listens and what stands behind it."""

    url: str
    turns: ScriptedTurns
    decisions: Decisions
    card: AgentCard
    requests: list[str]
    server: uvicorn.Server

    @property
    def contacts(self) -> list[str]:
        """The requests beyond those for its card."""
        return [path for path in self.requests if path.startswith("/a2a")]

    def drop(self) -> None:
        """Break every connection off, as a crash does."""
        for connection in list(self.server.server_state.connections):
            connection.transport.abort()  # type: ignore[union-attr]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving_at(tmp_path) as everything:
        yield everything


@contextlib.asynccontextmanager
async def serving_at(tmp_path: Path) -> AsyncIterator[Served]:
    """The server with what stands behind it, in the loop of the caller."""
    turns, decisions = ScriptedTurns(), Decisions()
    engine = open_engine(sqlite_url(tmp_path / "a2a.db"))
    config = uvicorn.Config(lambda: None, host="127.0.0.1", port=0, log_level="error", lifespan="off", http="h11")
    config.load()
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    card = build_card(A2ASettings(), base_url=url, version="0", specialists=load_specialists(AgentsSettings()))
    executor = TurnExecutor(turns, Conversations(), decisions)  # type: ignore[arg-type]
    face = A2AFace(card, executor, engine=engine)
    await face.start()
    requests: list[str] = []
    config.loaded_app = Signed(Starlette(routes=face.routes()), _who, requests)  # type: ignore[assignment]
    serving = asyncio.create_task(server.serve([socket]))
    try:
        yield Served(url, turns, decisions, card, requests, server)
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        await face.close()
        await engine.dispose()


def _who(scope: Scope) -> Principal:
    token = dict(scope["headers"]).get(b"authorization", b"Bearer ada").decode().split()[-1]
    return Principal(user=token)
