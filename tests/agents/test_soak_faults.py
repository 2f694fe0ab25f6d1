"""A thousand turns with faults of every kind, through the real run log, turn runner, bus, audit and a server process.

Nothing of them may stay behind: no task, no process, no descriptor, no memory; each run ends with one terminal event.
"""

import asyncio
import contextlib
import gc
import os
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

import toolbus.kernel  # noqa: F401 - heavy to import: not part of what is measured
from agents.assembly import build_turns
from agents.contracts import Plan, Step, TurnRequest
from agents.orchestrator import Orchestrator
from agents.scope import Turn
from agents.settings import AgentsSettings
from agents.turns import Turns
from conversations.store import SqlConversationStore
from conversations.tables import message
from gateway.limits import Admission
from gateway.metrics import Metrics
from gateway.turns import Turns as Door
from policies.engine import Effect, Rule
from runs.events import TERMINAL, ApprovalView, RunCancelled, RunEvent, RunFinished
from runs.ids import new_run_id
from runs.log import RunLog
from runs.settings import RunsSettings
from signalbox.database import open_engine, sqlite_url
from signalbox.errors import UpstreamDown
from signalbox.identity import Principal
from signalbox.migrations import migrate
from tests.agents.scripted import Reply, ScriptedModels, Seen, call
from tests.toolbus.world import World, alive
from toolbus.audit import verify

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TURNS, WARM_UP, TOGETHER, SEED = 1000, 120, 20, 20261120
MAX_GROWTH_MIB = 64
"""The allocator takes some time to have what it needs: of 2,600 turns 204 MiB at 120, 252 from 1,550 on."""
KINDS = {
    "plain": 44,  # two steps with a tool each, one answer
    "boom": 10,  # the tool raises
    "unknown": 3,  # the model calls a tool that there is not
    "badly": 3,  # the model sends arguments that are not valid
    "down": 6,  # a model call fails
    "late": 10,  # the tool takes longer than its step may
    "write": 6,  # a person must approve
    "cancel": 9,  # stopped by its user
    "leave": 9,  # the reader goes away: after some events, or in the middle of waiting
}
DEATHS = (150, 300, 450)  # at these turns the server process is killed while it answers
PEOPLE = [Principal(user=name, groups=frozenset({"staff"})) for name in ("ada", "bruno", "clara")]
READ = Rule(
    id="probe.read",
    tools=("probe__add", "probe__slow", "probe__boom", "probe__die_once"),
    effect=Effect.PERMIT,
    reason="Reading is free.",
)
ASK = Rule(id="probe.ask", tools=("probe__write",), effect=Effect.ASK, reason="Writing needs a person.")


class ForgetfulDesk:
    """Takes proposals and keeps nothing of them."""

    async def propose(self, context: Any, tool: Any, arguments: dict[str, Any], preview: str) -> ApprovalView:
        return ApprovalView(id=f"appr_{context.run_id[4:]}", tool=tool.name, preview=preview, arguments=arguments)


@dataclass
class Soak:
    """What runs, and what came of it."""

    door: Door
    runner: Turns
    models: ScriptedModels
    world: World
    dice: random.Random
    ends: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0

    async def run(self, first: int, last: int, *, deaths: tuple[int, ...] = ()) -> None:
        """The turns of these numbers, some at once."""
        free = asyncio.Semaphore(TOGETHER)

        async def one(number: int, kind: str) -> None:
            async with free:
                await self.turn(number, kind)

        kinds = self.dice.choices(list(KINDS), weights=list(KINDS.values()), k=last - first)
        async with asyncio.TaskGroup() as group:
            for number, kind in enumerate(kinds, first):
                group.create_task(one(number, "die" if number in deaths else kind))
        self.models.seen.clear()

    async def turn(self, number: int, kind: str) -> None:
        """One turn, from the door to its last event in the log."""
        person = PEOPLE[number % len(PEOPLE)]
        request = TurnRequest(principal=person, text=f"turn-{number} {kind}", run_id=new_run_id(), surface="openai")
        match kind:
            case "leave":
                await self.leave(request)
            case "cancel":
                reader = asyncio.create_task(read(self.door, request))
                await asyncio.sleep(self.dice.uniform(0, 0.4))
                await self.door.log.cancel(person, request.run_id)
                await reader
            case _:
                await read(self.door, request)
        events = await self.door.log.ended(request.run_id)
        self.check(number, kind, events)

    async def leave(self, request: TurnRequest) -> None:
        """Read a little, then go: by closing the stream, or by being cancelled while waiting for the next event."""
        events = aiter(self.door.run(request))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self.dice.random() < 0.5 else self.dice.uniform(0.01, 0.4)):
                for _ in range(self.dice.randint(1, 4)):
                    await anext(events)
        await events.aclose()  # type: ignore[attr-defined]

    def check(self, number: int, kind: str, events: list[RunEvent]) -> None:
        """Whatever happened: numbered without a gap, one terminal event, and it is the last; nobody else's words."""
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [isinstance(event, TERMINAL) for event in events] == [False] * (len(events) - 1) + [True]
        end = events[-1]
        self.ends[f"{kind}: {end.type}"] += 1
        if kind == "cancel":
            assert isinstance(end, RunCancelled | RunFinished)
        elif kind == "leave":
            assert isinstance(end, RunCancelled)
        else:
            assert isinstance(end, RunFinished), end
            assert set(re.findall(r"turn-(\d+)", end.result.text)) <= {str(number)}
        if kind == "plain" and isinstance(end, RunFinished) and f"Answer turn-{number}." not in end.result.text:
            assert "could not" in end.result.text, end.result.text  # never less than the answer without a word
            self.unanswered += 1


async def read(door: Door, request: TurnRequest) -> None:
    async for _ in door.run(request):
        pass


def say(folder: Path, seen: Seen) -> Any:
    """What the model says to each role in each kind of turn."""
    number, kind = re.findall(r"turn-(\d+) (\w+)", seen.prompt)[0]
    if seen.role == "planner":
        hurried = "knowledge" if kind == "late" else "data"
        steps = [Step(id=f"s{at}", specialist=name, task=f"task {at}") for at, name in enumerate(("data", hurried))]
        return Plan(steps=steps)
    if seen.role == "synthesiser":
        return Reply(f"Answer turn-{number}.", latency_s=0.01)
    if seen.results:
        return Reply(f"Found turn-{number}.", latency_s=0.01)
    if "<task>\ntask 0\n" in seen.prompt and kind not in ("cancel", "leave"):
        return [call("probe__add", a=int(number), b=1)]
    match kind:
        case "boom":
            return [call("probe__boom")]
        case "unknown":
            return [call("probe__nothing")]
        case "badly":
            return [call("probe__add", a="one")]
        case "down":
            return Reply(error=UpstreamDown("The model is down."))
        case "late" | "cancel" | "leave":
            return [call("probe__slow", seconds=60)]
        case "write":
            return [call("probe__write", text=f"turn-{number}")]
        case "die":
            return [call("probe__die_once", marker=str(folder / f"dead-{number}"))]
    return [call("probe__add", a=int(number), b=2)]


SETTINGS = AgentsSettings.model_validate(
    {
        "lookup_timeout_s": 60,
        "specialists": {"data": {"tools": ["probe__*"]}, "knowledge": {"tools": ["probe__*"], "timeout_s": 0.4}},
    }
)


@contextlib.asynccontextmanager
async def open_soak(world: World) -> AsyncIterator[Soak]:
    world.desk = ForgetfulDesk()  # type: ignore[assignment]
    engine = open_engine(sqlite_url(world.folder / "soak.db"))
    await migrate(engine)
    # Fewer, and a run that ends at once beside a dead server is gone before its turn here asks for its events.
    log = RunLog(engine, RunsSettings(keep_in_memory=200))
    async with world.open(rules=(READ, ASK)):
        models = ScriptedModels(lambda seen: say(world.folder, seen))
        runner = build_turns(SETTINGS, models, world.bus, SqlConversationStore(engine))
        admission = Admission(per_principal=3 * TOGETHER, total=3 * TOGETHER)  # a stopped run takes a moment
        door = Door(runner, log, admission, Metrics(CollectorRegistry()))
        yield Soak(door, runner, models, world, random.Random(SEED))
        assert admission.running == 0
        await log.close()
        await runner.close()
        await check_records(engine)
    await engine.dispose()


async def check_records(engine: Any) -> None:
    """A question for each run, and never a second answer."""
    roles = sa.select(message.c.run_id, message.c.role, sa.func.count()).group_by(message.c.run_id, message.c.role)
    async with engine.connect() as connection:
        rows = (await connection.execute(roles)).all()
    assert {count for _, _, count in rows} == {1}
    assert len([row for row in rows if row[1] == "user"]) > (TURNS + WARM_UP) * 0.9


@dataclass(frozen=True)
class Footprint:
    """What this process holds."""

    tasks: Counter[str]
    descriptors: int
    children: int
    rss_mib: float
    turns: int

    @classmethod
    async def now(cls) -> "Footprint":
        await asyncio.sleep(0.5)  # what was stopped last has a moment to end
        gc.collect()
        return cls(
            tasks=Counter(task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()),
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            children=len(children()),
            rss_mib=int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20,
            turns=len(living_turns()),
        )


def living_turns() -> list[object]:
    """The turns that this process holds, those that tests before left included."""
    # Not isinstance: it would ask lazy objects for their class and so wake them up.
    return [thing for thing in gc.get_objects() if type(thing) in (Turn, Orchestrator)]


async def settled(world: "World") -> Counter[str]:
    """What the server noted of its slow calls, once as many were cancelled as begun, or after five seconds."""
    deadline = time.monotonic() + 5
    while True:
        noted = Counter(line.split()[1] for line in world.noted() if line.startswith("slow "))
        if noted["start"] == noted["cancelled"] or time.monotonic() > deadline:
            return noted
        await asyncio.sleep(0.1)


def children() -> list[int]:
    """Living processes that this one started."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "stat").read_text().rsplit(")", 1)[1].split()[1] == str(os.getpid()):
                found.append(int(entry.name))
    return [pid for pid in found if alive(pid)]


async def test_a_thousand_turns_with_faults_leave_nothing_behind(tmp_path: Path, logs: list[Any]) -> None:
    world = World(tmp_path)
    at_first = await Footprint.now()
    earlier = living_turns()  # held here, so that none of them goes and hides one that stays
    async with open_soak(world) as soak:
        await soak.run(0, WARM_UP)
        logs.clear()
        before = await Footprint.now()
        assert before.children == at_first.children + 1
        started = time.monotonic()
        await soak.run(WARM_UP, TURNS // 2, deaths=DEATHS)
        world.log.write_text("")
        await soak.run(TURNS // 2, TURNS + WARM_UP)
        took_s = time.monotonic() - started
        logs.clear()
        after = await Footprint.now()
        noted = await settled(world)
        assert noted["start"] == noted["cancelled"]  # the server stopped whatever nobody waits for
        assert soak.runner._live == {}  # pyright: ignore[reportPrivateUsage]
    closed = await Footprint.now()

    print(f"\n{TURNS} turns in {took_s:.0f} s; {dict(sorted(soak.ends.items()))}; unanswered {soak.unanswered}")
    print(f"at first {at_first}\nbefore   {before}\nafter    {after}\nclosed   {closed}")
    assert soak.unanswered < soak.ends["plain: run.finished"] / 2  # a server that is killed or overloaded is missed
    assert (after.turns, closed.turns) == (len(earlier), len(earlier))
    assert after.tasks == before.tasks
    assert closed.tasks == at_first.tasks
    assert after.descriptors <= before.descriptors
    assert closed.descriptors <= at_first.descriptors
    assert (after.children, closed.children) == (before.children, at_first.children)
    assert after.rss_mib - before.rss_mib < MAX_GROWTH_MIB
    seen = verify(world.audit_path)
    assert seen.intact
    assert seen.records > TURNS
