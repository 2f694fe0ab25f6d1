"""Batches on a real database; only the answers are scripted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from blockbuster import blockbuster_ctx
from sqlalchemy.ext.asyncio import AsyncEngine

from inference.batch.assembly import Batches, build_batches, build_runner
from inference.batch.contracts import Batch, BatchRequest, BatchState, Reply
from inference.batch.runner import BatchRunner
from inference.batch.settings import BatchSettings
from signalbox.identity import Principal

ADA = Principal(user="ada", groups=frozenset({"staff"}), scopes=frozenset({"approve"}))
ENDPOINT = "/v1/chat/completions"
Answer = Callable[[dict[str, Any]], Awaitable[Reply]]


def replied(text: str, status: int = 200, **more: Any) -> Reply:
    return Reply(status=status, body={"text": text}, request_id="req_1", **more)


@dataclass
class ScriptedWorker:
    """Answers with what it was asked, unless a test says otherwise; notes who asked what."""

    script: Answer | None = None
    asked: list[str] = field(default_factory=list)
    owners: set[Principal] = field(default_factory=set)
    running: int = 0
    most: int = 0

    async def answer(self, owner: Principal, endpoint: str, body: dict[str, Any]) -> Reply:
        assert endpoint == ENDPOINT
        self.owners.add(owner)
        self.asked.append(body["q"])
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await self.script(body) if self.script else replied(body["q"])
        finally:
            self.running -= 1


@dataclass
class Desk:
    """How many people ask."""

    people: int = 0
    draining: bool = False


class Clock:
    """The real time, moved by the test."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Office:
    """A process that works on batches; `restart` is another one on the same database."""

    def __init__(self, engine: AsyncEngine, settings: BatchSettings) -> None:
        self.engine = engine
        self.settings = settings
        self.clock = Clock()
        self.desk = Desk()
        self.worker = ScriptedWorker()
        self.batches: Batches = build_batches(engine, settings, clock=self.clock)
        self.runner = self.new_runner()

    def new_runner(self) -> BatchRunner:
        return build_runner(self.batches, self.engine, self.worker, self.desk, clock=self.clock)

    async def hand_in(self, *questions: str, owner: Principal = ADA, lines: list[bytes] | None = None) -> str:
        lines = lines or [
            orjson.dumps({"custom_id": f"id-{question}", "url": ENDPOINT, "body": {"q": question}})
            for question in questions
        ]

        async def content() -> AsyncIterator[bytes]:
            yield b"\n".join(lines)

        stored = await self.batches.files.add(owner, "in.jsonl", content())
        request = BatchRequest(input_file_id=stored.id, endpoint=ENDPOINT)
        made = await self.batches.store.create(owner, request)
        self.runner.wake()
        return made.id

    async def until(self, batch_id: str, *states: BatchState, owner: Principal = ADA) -> Batch:
        while (found := await self.batches.store.get(owner, batch_id)).state not in states:
            await asyncio.sleep(0.01)
        return found

    async def lines(self, file_id: str | None, owner: Principal = ADA) -> list[dict[str, Any]]:
        assert file_id is not None
        parts = await self.batches.files.read(owner, file_id)
        return [orjson.loads(line) for line in b"".join([part async for part in parts]).splitlines()]


@pytest.fixture(autouse=True)
def blocking_calls_are_caught():
    """Opening the database may block; working on batches may not."""
    with blockbuster_ctx(["inference"]):
        yield


@pytest.fixture
def batch_settings() -> BatchSettings:
    return BatchSettings(lease_s=4, concurrency=4, stand_back=1, quiet_after_s=0.2)


@pytest.fixture
async def office(engine: AsyncEngine, batch_settings: BatchSettings) -> AsyncIterator[Office]:
    office = Office(engine, batch_settings)
    await office.runner.start()
    yield office
    await office.runner.close()
