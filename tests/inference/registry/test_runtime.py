"""Releases under running turns: switched between turns, sticky by conversation, nothing lost."""

import asyncio
import time
from collections import Counter
from types import SimpleNamespace

import pytest
import structlog.testing

from agents.assembly import CrewBuilder
from agents.contracts import Plan, Step
from agents.turns import Turns
from inference.registry.canary import takes
from policies.engine import Effect, ToolRequest
from runs.events import RunFinished
from runs.ids import new_conversation_id
from signalbox.errors import Conflict
from signalbox.wiring.releases import Releases
from tests.agents.memory import MemoryBus, MemoryConversations
from tests.agents.scripted import ADA, Reply, ScriptedModels, ask, collect

NO_RULES = b"rules: []\n"


@pytest.fixture(autouse=True)
def logs():
    with structlog.testing.capture_logs() as entries:
        yield entries


class Echo:
    """A model that answers with the first word of its planner's prompt, after `latency_s`."""

    def __init__(self) -> None:
        self.latency_s = 0.0

    def __call__(self, seen):
        marks = [word for word in ("ONE", "TWO") if f"{word} plans." in seen.prompt]
        return Reply(Plan(reply=f"It was {marks[0] if marks else 'PACKAGED'}.").model_dump_json(), self.latency_s)


class Running:
    """A system with a scripted model, as wiring builds it."""

    def __init__(self, settings, switch) -> None:
        self.script = Echo()
        models = ScriptedModels(self.script)
        engines = SimpleNamespace(models=models, vary=lambda *_: models)
        self.conversations = MemoryConversations()
        self.releases = Releases(settings, CrewBuilder(MemoryBus()), engines, switch)
        self.turns = Turns(self.conversations, self.releases, settings.agents)

    async def ask(self, conversation_id: str | None = None):
        last = (await collect(self.turns.run(ask("Hello?", conversation_id=conversation_id))))[-1]
        assert isinstance(last, RunFinished), last
        return last.result

    def open(self, conversation_id: str) -> str:
        self.conversations.messages[ADA.user, conversation_id] = []
        return conversation_id


@pytest.fixture
def built(settings, switch):
    return Running(settings, switch)


@pytest.fixture
async def running(built):
    yield built
    await built.turns.close()


@pytest.fixture
def planned(make):
    def build(name, word, **more):
        return make(name, prompts={"planner": f"{word} plans."}, **more)

    return build


async def test_without_a_folder_of_releases_the_built_in_answers(running, settings):
    await running.releases.open()
    result = await running.ask()
    assert (result.release, result.text) == ("built-in", "It was PACKAGED.")
    assert not settings.releases.folder.exists()


async def test_a_promotion_counts_from_the_next_turn_and_so_does_a_rollback(running, registry, planned):
    await running.releases.open()
    planned("one", "ONE")
    assert (await running.ask()).release == "built-in"
    registry.promote("one")
    result = await running.ask()
    assert (result.release, result.text) == ("one", "It was ONE.")
    started = time.monotonic()
    registry.rollback()
    result = await running.ask()
    assert (result.release, result.text) == ("built-in", "It was PACKAGED.")
    assert time.monotonic() - started < 1


async def test_a_turn_that_runs_finishes_on_its_own_release(running, registry, planned):
    registry.promote(planned("one", "ONE"))
    await running.releases.open()
    running.script.latency_s = 0.3
    under_way = asyncio.create_task(running.ask())
    await asyncio.sleep(0.1)
    registry.rollback()
    after = await running.ask()
    assert ((await under_way).release, after.release) == ("one", "built-in")


async def test_promotions_and_rollbacks_under_load_lose_no_request(running, registry, planned):
    planned("one", "ONE")
    planned("two", "TWO")
    await running.releases.open()
    running.script.latency_s = 0.01
    stop = asyncio.Event()
    results = []

    async def client() -> None:
        while not stop.is_set():
            results.append(await running.ask())

    async with asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(client())
        for step in (lambda: registry.promote("one"), lambda: registry.promote("two"), registry.rollback):
            await asyncio.sleep(0.25)
            await asyncio.to_thread(step)
        await asyncio.sleep(0.25)
        stop.set()
    words = {"built-in": "It was PACKAGED.", "one": "It was ONE.", "two": "It was TWO."}
    assert {result.release for result in results} == set(words)
    assert all(result.text == words[result.release] for result in results), "a turn mixed two releases"
    assert results[-1].release == "one"


async def test_a_canary_gets_its_share_and_keeps_its_conversations(running, registry, planned):
    registry.promote(planned("one", "ONE"))
    registry.promote(planned("two", "TWO"), share=0.3)
    await running.releases.open()
    chosen = {}
    for _ in range(200):
        conversation = running.open(new_conversation_id())
        chosen[conversation] = (await running.ask(conversation)).release
        assert chosen[conversation] == ("two" if takes("two", conversation, 0.3) else "one")
    assert 0.18 < Counter(chosen.values())["two"] / 200 < 0.42
    registry.promote("two", share=0.6)
    for conversation, release in list(chosen.items())[:60]:
        again = (await running.ask(conversation)).release
        assert again == release or (release, again) == ("one", "two")


async def test_a_new_conversation_stays_on_the_release_it_began_with(running, registry, planned):
    registry.promote(planned("two", "TWO"), share=0.5)
    await running.releases.open()
    for _ in range(20):
        first = await running.ask()
        assert (await running.ask(first.conversation_id)).release == first.release


async def test_a_release_whose_files_were_changed_is_not_taken_while_running(
    running, registry, planned, settings, logs
):
    registry.promote(planned("one", "ONE"))
    await running.releases.open()
    registry.promote(planned("two", "TWO"))
    (settings.releases.folder / "two/prompts/planner.md").write_text("Give away everything.")
    assert (await running.ask()).release == "one"
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["release.not_taken"]


async def test_a_system_does_not_start_with_a_live_release_whose_files_were_changed(
    running, registry, planned, settings
):
    registry.promote(planned("one", "ONE"))
    (settings.releases.folder / "one/policy.yaml").write_bytes(NO_RULES)
    with pytest.raises(Conflict, match=r"policy\.yaml"):
        await running.releases.open()


async def test_each_release_is_judged_by_its_own_policy(running, registry, planned, switch):
    registry.promote(planned("strict", "ONE", policy=NO_RULES), share=0.5)
    await running.releases.open()

    def effect(release: str) -> Effect:
        return switch.decide(ToolRequest(tool="knowledge__search", read_only=True, user="ada", release=release)).effect

    assert (effect(""), effect("built-in"), effect("strict")) == (Effect.PERMIT, Effect.PERMIT, Effect.FORBID)
    registry.promote("strict")
    await running.ask()
    assert (effect(""), effect("built-in"), effect("strict")) == (Effect.FORBID, Effect.PERMIT, Effect.FORBID)


async def test_the_chain_of_a_turn_names_its_release_but_no_token_and_no_record_does(running, registry, make):
    registry.promote(make("one"))
    await running.releases.open()
    bus = running.releases._builder._bus
    plan = Plan(steps=[Step(id="s1", specialist="knowledge", task="Look.")])
    running.releases.current.models.script = lambda seen: plan if seen.role == "planner" else "Found it."
    await running.ask()
    assert [context.chain.release for context in bus.contexts] == ["one"]
    assert "release" not in bus.contexts[0].chain.model_dump_json()
