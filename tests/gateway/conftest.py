"""A gateway on a real database and, where a test needs one, a real server; only the agents are scripted."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from blockbuster import blockbuster_ctx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from agents.assembly import CrewBuilder
from agents.contracts import TurnRequest
from agents.crews import OneCrew
from agents.direct_audit import CallAudit
from agents.direct_calls import DirectCalls
from agents.embedding_calls import EmbeddingCalls
from agents.settings import AgentsSettings, ReviewSettings
from conversations.contracts import ConversationStore
from conversations.outcomes import announce_in
from conversations.store import SqlConversationStore
from gateway.app import GatewayServices, build_app
from gateway.batches.api import BatchServices
from gateway.batches.load import PeopleLoad
from gateway.batches.worker import EndpointWorker, line_endpoints
from gateway.calls import LiveCalls
from gateway.documents import DocumentView, IndexRequest, IngestProgress, IngestRequest
from gateway.keys import ApiKeys
from gateway.limits import Admission
from gateway.metrics import Metrics
from gateway.serve import GatewayServer
from gateway.settings import GatewaySettings
from gateway.turns import Turns
from inference.batch.assembly import build_batches, build_runner
from inference.batch.settings import BatchSettings
from inference.contracts import CallScope
from inference.router import RoutedModels
from inference.settings import InferenceSettings
from inference.texts import OwnVectors, ServedVectors
from runs.approvals import Approval, Approvals, Executed
from runs.events import (
    AnswerSegment,
    PlanMade,
    PlannedStep,
    RunEvent,
    RunFailed,
    RunFinished,
    RunResult,
    RunStarted,
    Source,
    StepReport,
    TokenUsage,
)
from runs.log import RunLog
from runs.settings import RunsSettings
from signalbox.errors import NotFound, SignalboxError, ToolFault
from signalbox.identity import Principal
from tests.agents.memory import MemoryBus
from tests.inference.peer import Peer
from tests.inference.scripted import ScriptedClient
from tests.runs.database import fresh_engine
from toolbus.audit import AuditLog, read, verify

ADA = Principal(user="ada", groups=frozenset({"staff", "operations"}))
BRUNO = Principal(user="bruno", groups=frozenset({"staff", "people"}))
ROOT = Principal(user="root", scopes=frozenset({"admin", "approve"}))

Script = Callable[[TurnRequest, str], AsyncIterator[RunEvent]]


async def answer(request: TurnRequest, conversation_id: str) -> AsyncIterator[RunEvent]:
    """Two segments, one step, one source."""
    steps = (StepReport(id="s1", specialist="knowledge", status="ok", duration_ms=12.5, task="Look it up"),)
    source = Source(ref="0a1b2c3d", number=1, document="hr/leave.md", title="Leave", quote="30 days", cited=True)
    yield PlanMade(steps=(PlannedStep(id="s1", specialist="knowledge", task="Look it up"),))
    yield AnswerSegment(text="You have 30 days. ")
    yield AnswerSegment(text="Ask Bruno [1].")
    yield RunFinished(
        result=RunResult(
            run_id=request.run_id,
            conversation_id=conversation_id,
            text="You have 30 days. Ask Bruno [1].",
            engine="embedded",
            steps=steps,
            sources=(source,),
            usage=TokenUsage(prompt_tokens=11, completion_tokens=7, cached_tokens=3, model_calls=2),
        )
    )


@dataclass
class ScriptedAgents:
    """A `TurnRunner` that keeps conversations as the real one does; `script` says what it answers."""

    conversations: ConversationStore
    script: Script = answer
    requests: list[TurnRequest] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def run(self, request: TurnRequest) -> AsyncIterator[RunEvent]:
        return self._run(request)

    async def _run(self, request: TurnRequest) -> AsyncGenerator[RunEvent, None]:
        self.requests.append(request)
        person = request.principal
        try:
            conversation = await self.conversations.open(person, request.conversation_id)
            yield RunStarted(conversation_id=conversation.id, model=request.model)
            await self.conversations.add_question(person, conversation.id, request.run_id, request.text)
            async for event in self.script(request, conversation.id):
                if isinstance(event, RunFinished):
                    await self.conversations.add_answer(person, conversation.id, event.result)
                yield event
        except SignalboxError as error:
            yield RunFailed(code=error.code, message=str(error), status=error.status)
        finally:
            self.closed.set()


class Library:
    """A `KnowledgeGate` with one document, for ada alone."""

    async def open(self, principal: Principal, document_id: str, *, chunk_id: str | None = None) -> DocumentView:
        if principal != ADA or document_id not in ("d" * 32, "hr/<b>.md"):
            raise NotFound(f"There is no document {document_id!r}.")
        text = "before <script>alert(1)</script> & after"
        marks = (7, 32) if chunk_id else (None, None)
        return DocumentView(
            document_id="d" * 32,
            document="hr/<b>.md",
            title="A <title>",
            text=text,
            total_chars=len(text),
            chunk_id=chunk_id or "",
            mark_start=marks[0],
            mark_end=marks[1],
        )

    async def ingest(self, principal: Principal, request: IngestRequest) -> AsyncGenerator[IngestProgress, None]:
        if request.path == "/nowhere":
            raise NotFound("There is no folder '/nowhere'.")
        yield IngestProgress(document="a.md", status="new", processed=1, total=2)
        if request.path == "/breaks":
            raise ToolFault("b.pdf is corrupt.")
        yield IngestProgress(processed=2, total=2, done=True, summary={"new": 2})

    async def maintain(self, principal: Principal, request: IndexRequest) -> AsyncGenerator[IngestProgress, None]:
        if request.action == "roll_back":
            raise ToolFault("There is no index before this one.")
        yield IngestProgress()
        yield IngestProgress(done=True, summary={"summary": "Everything agrees."})


class Letters:
    """An embedder: how often a text holds each letter, made unit length."""

    name = "letters"

    def __init__(self) -> None:
        self.wait_s = 0.0

    async def embed(self, texts: Sequence[str]) -> Any:
        await asyncio.sleep(self.wait_s)
        counts = np.array([[text.count(letter) for letter in "abcdefgh"] for text in texts], np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-12)


@dataclass
class Bare:
    """Bare models, and the audit log of their calls."""

    calls: DirectCalls
    embeddings: EmbeddingCalls
    letters: Letters
    audit: AuditLog
    audit_file: Path
    models: RoutedModels

    async def records(self) -> list[dict[str, Any]]:
        """What is in the audit log, once it is on disk."""
        await self.audit.flush()
        assert verify(self.audit_file).intact
        return [record for record in read(self.audit_file) if record is not None]


@dataclass
class House:
    """Everything behind the door."""

    app: FastAPI
    settings: GatewaySettings
    turns: Turns
    agents: ScriptedAgents
    conversations: SqlConversationStore
    approvals: Approvals
    keys: ApiKeys
    executed: list[Approval]
    health: dict[str, dict[str, str]]
    tokens: dict[str, str]

    @property
    def log(self) -> RunLog:
        return self.turns.log

    def headers(self, user: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens[user]}"}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = await fresh_engine(tmp_path)
    yield engine
    await engine.dispose()


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(port=0, keepalive_s=0.1, shutdown_grace_s=0.3)


def _says_hello(scope: CallScope) -> Any:
    return ScriptedClient(scope, "Hello from here.")


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """A scripted model server."""
    async with Peer() as server:
        yield server


@pytest.fixture
def inference() -> dict[str, Any]:
    """The settings of the models behind `direct`; without any, an engine of this process answers."""
    return {}


@pytest.fixture
def embedded() -> Any:
    """What makes the client of this process."""
    return _says_hello


@pytest.fixture
def money() -> float | None:
    """What one call or turn may cost."""
    return None


@pytest.fixture
async def bare(inference: dict[str, Any], embedded: Any, money: float | None, tmp_path: Path) -> AsyncIterator[Bare]:
    registry = CollectorRegistry()
    models = RoutedModels(InferenceSettings.model_validate(inference), embedded=embedded, registry=registry)
    agents = AgentsSettings(money=money, review=ReviewSettings(canary=SecretStr("kestrel-4711-harbour")))
    crew = CrewBuilder(MemoryBus()).build(agents, models, release="r7")
    audit = AuditLog(tmp_path / "audit.jsonl")
    calls = DirectCalls(OneCrew(crew), CallAudit(audit), agents)
    letters, served = Letters(), inference.get("embeddings")
    vectors = ServedVectors(models.embeddings(served, purpose="direct")) if served else OwnVectors(letters)
    embeddings = EmbeddingCalls(vectors, CallAudit(audit), agents)
    yield Bare(calls, embeddings, letters, audit, tmp_path / "audit.jsonl", models)
    await models.close()
    await audit.close()


@pytest.fixture
def batch_settings() -> BatchSettings:
    return BatchSettings(lease_s=4, quiet_after_s=0.2)


@pytest.fixture
async def house(
    engine: AsyncEngine, settings: GatewaySettings, bare: Bare, batch_settings: BatchSettings
) -> AsyncIterator[House]:
    conversations = SqlConversationStore(engine)
    agents = ScriptedAgents(conversations)
    log = RunLog(engine, RunsSettings())
    admission = Admission(per_principal=settings.runs_per_principal, total=settings.runs_total)
    metrics = Metrics(CollectorRegistry())
    calls = LiveCalls(Admission(per_principal=settings.calls_per_principal, total=settings.calls_total), metrics)
    turns = Turns(agents, log, admission, metrics, calls=calls)
    executed: list[Approval] = []

    async def execute(approval: Approval) -> Executed:
        executed.append(approval)
        return Executed(ok=True, text="Ticket T-1 was made.")

    approvals = Approvals(engine, RunsSettings(), execute=execute, announce=announce_in(conversations))
    keys = ApiKeys(engine, cache_s=settings.key_cache_s)
    health = {"database": {"state": "up"}}

    async def healthy() -> dict[str, dict[str, str]]:
        return health

    load = PeopleLoad(turns)
    batches = build_batches(engine, batch_settings)
    endpoints = line_endpoints(turns, bare.calls, bare.embeddings, settings)
    worker = EndpointWorker(endpoints, load, metrics, priority=batch_settings.priority)
    runner = build_runner(batches, engine, worker, load)
    await runner.start()
    face = BatchServices(batches.files, batches.store, frozenset(endpoints), runner.wake, batch_settings.max_file_bytes)
    services = GatewayServices(
        turns, bare.calls, bare.embeddings, conversations, approvals, keys, Library(), healthy, metrics, face
    )
    app = build_app(services, settings)
    tokens = {person.user: await keys.create(person) for person in (ADA, BRUNO, ROOT)}
    yield House(app, settings, turns, agents, conversations, approvals, keys, executed, health, tokens)
    await runner.close()
    await approvals.close()
    await log.close()


@pytest.fixture(autouse=True)
def never_blocking() -> Iterator[None]:
    """A call that blocks the event loop fails its test."""
    with capture_logs(), blockbuster_ctx(scanned_modules=["gateway", "runs", "conversations"]):
        yield


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """Ada's client, in process."""
    transport = httpx.ASGITransport(house.app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=house.headers("ada")) as http:
        yield http


@contextlib.asynccontextmanager
async def served(house: House) -> AsyncIterator[GatewayServer]:
    """The app behind a real server on a free port."""
    server = GatewayServer(house.app, house.settings, house.turns)
    task = asyncio.create_task(server._serve())
    while not server.started:
        assert not task.done()
        await asyncio.sleep(0.005)
    try:
        yield server
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def url(house: House) -> AsyncIterator[str]:
    async with served(house) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
async def sdk(url: str, house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    """Ada's client of OpenAI's making, over a real connection."""
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=house.tokens["ada"], max_retries=0) as client:
        yield client
