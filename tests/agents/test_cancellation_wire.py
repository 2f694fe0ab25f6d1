"""A stop seen from the far end of every wire: model server, tool processes by stdio and HTTP, another organisation's
agent. Real connections all the way; only the words are scripted.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from a2a_bridge.settings import RemoteAgent
from a2a_bridge.source import RemoteAgentSource
from prometheus_client import CollectorRegistry

import toolbus.kernel  # noqa: F401 - heavy to import: not on the clock of the first test
from agents.assembly import build_turns
from agents.settings import AgentsSettings, SpecialistSettings
from agents.specialists.remote import RemoteSpecialist
from agents.turns import Turns
from inference.router import RoutedModels
from inference.settings import InferenceSettings
from runs.events import AnswerSegment
from tests.a2a_bridge.calls import FREELY
from tests.a2a_bridge.conftest import Served, serving_at
from tests.agents.memory import MemoryConversations
from tests.agents.scripted import ADA, ask
from tests.inference.peer import Peer, Script
from tests.toolbus.http_probe import HttpProbe
from tests.toolbus.world import QUICK, READ_ALL, World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]  # server processes start here

WORDS = ["It is so. And so it goes on. "] * 2
SLOW = ("probe__slow", json.dumps({"seconds": 60}))


def plan(*specialists: str) -> Script:
    steps = [{"id": f"s{at}", "specialist": who, "task": "slow one"} for at, who in enumerate(specialists)]
    return Script(pieces=(json.dumps({"steps": steps, "reply": ""}),))


PHASES: dict[str, dict[str, Script]] = {
    "planner": {"planner": Script(hang="head")},
    "specialist": {"planner": plan("data"), "specialist": Script(hang="middle", pieces=WORDS)},
    "tool": {"planner": plan("data"), "specialist": Script(calls=(SLOW,))},
    "remote": {"planner": plan("partner")},
    "synthesiser": {
        "planner": plan("generalist", "generalist"),
        "specialist": Script(pieces=("Found.",)),
        "synthesiser": Script(hang="middle", pieces=WORDS),
    },
    "direct": {"direct": Script(hang="middle", pieces=WORDS)},
}


@dataclass
class House:
    """Everything that works for a turn, and what each far end saw."""

    turns: Turns
    peer: Peer
    world: World
    partner: Served
    conversations: MemoryConversations

    def play(self, scripts: dict[str, Script]) -> None:
        def script(body: Any) -> Script:
            text = body["messages"][-1]["content"]
            role = text.rsplit("<role>\n", 1)[1].split("\n")[0].split(":")[0] if "<role>" in text else "direct"
            return scripts[role]

        self.peer.script = script
        self.peer.requests.clear()
        self.world.log.write_text("")
        self.partner.turns.asked.clear()
        self.partner.turns.stopped.clear()


@contextlib.asynccontextmanager
async def house_of(world: World, partner: Served) -> AsyncIterator[House]:
    remote = RemoteSpecialist("partner", SpecialistSettings(module="a2a_bridge.source"), lambda: None)
    async with Peer() as peer:
        models = RoutedModels(
            InferenceSettings(base_url=peer.url, model="test-model"),
            embedded=lambda _: pytest.fail("not asked"),
            registry=CollectorRegistry(),
        )
        settings = AgentsSettings.model_validate({"specialists": {"data": {"tools": ["probe__*"]}}, "replans": 0})
        conversations = MemoryConversations()
        turns = build_turns(settings, models, world.bus, conversations, remote=[remote])
        try:
            yield House(turns, peer, world, partner, conversations)
        finally:
            await turns.close()
            await models.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["stdio", "http"])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    world = World(tmp_path_factory.mktemp("wire"))
    probe = HttpProbe(world) if request.param == "http" else None
    if probe is not None:
        await asyncio.to_thread(probe.start)
    try:
        async with world.open([probe.spec] if probe else None, rules=(READ_ALL, FREELY)):
            yield world
    finally:
        if probe is not None:
            probe.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def partner(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving_at(tmp_path_factory.mktemp("partner")) as partner:
        agent = RemoteAgent(url=partner.url, timeout_s=30, auto_approve=True)
        await world.bus.connect(RemoteAgentSource("partner", agent, QUICK, card_refresh_s=60))
        yield partner


def under_way(phase: str, house: House, seen: list) -> bool:
    match phase:
        case "tool":
            return "slow start" in house.world.noted()
        case "remote":
            return bool(house.partner.turns.asked)
        case "synthesiser" | "direct":
            return any(isinstance(event, AnswerSegment) for event in seen)
        case "specialist":
            return len(house.peer.requests) == 2
    return house.peer.in_flight == 1


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("way", ["the reader leaves", "stop"])
@pytest.mark.parametrize("phase", PHASES)
async def test_the_far_end_of_every_wire_sees_the_stop_within_a_second(world, partner, phase, way):
    async with house_of(world, partner) as house:
        house.play(PHASES[phase])
        before = asyncio.all_tasks()
        seen: list = []
        request = ask("slow one", model="direct" if phase == "direct" else "signalbox")

        async def read() -> None:
            async with contextlib.aclosing(house.turns.run(request)) as events:
                async for event in events:
                    seen.append(event)

        reader = asyncio.create_task(read())
        await until(lambda: under_way(phase, house, seen))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        if way == "stop":
            assert await house.turns.cancel(ADA, request.run_id)
        reader.cancel() if way != "stop" else None
        await asyncio.wait([reader])
        await until(lambda: house.peer.in_flight == 0)
        if phase == "tool":
            await until(lambda: "slow cancelled CancelledError" in house.world.noted())
        if phase == "remote":
            await house.partner.turns.stopped.wait()
        took_s = time.monotonic() - started
        await house.turns.close()
        assert took_s < 1
        if phase not in ("tool", "remote"):
            assert house.peer.disconnects == 1
        assert "slow done" not in house.world.noted()
        record = house.conversations.of(ADA)[-1].result
        assert record is not None and record.cancelled
        assert record.text == "".join(event.text for event in seen if isinstance(event, AnswerSegment))
        if way == "stop":
            assert seen[-1].type == "run.cancelled"
        await until(lambda: not [task for task in asyncio.all_tasks() - before - {reader} if "step" in task.get_name()])
    if phase in ("tool", "remote"):
        await world.until(lambda: '"cancelled"' in audited(world, request.run_id))
        assert '"ok"' not in audited(world, request.run_id)


def audited(world: World, run_id: str) -> str:
    return "\n".join(line for line in world.audit_path.read_text().splitlines() if run_id in line)
