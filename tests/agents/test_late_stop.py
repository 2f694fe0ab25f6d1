"""A stop that comes when the work is all but done: the run is recorded once, as what it became."""

import asyncio
import sqlite3
from pathlib import Path

from agents.assembly import build_turns
from agents.settings import AgentsSettings
from conversations.contracts import Conversation
from conversations.store import SqlConversationStore
from runs.events import RunFailed
from signalbox.identity import Principal
from tests.agents.memory import MemoryBus
from tests.agents.scripted import ADA, Reply, ScriptedModels, ask, collect
from tests.runs.database import fresh_engine


async def test_a_run_that_finishes_although_it_was_stopped_is_recorded_once(house):
    """The reader leaves while the answer waits for room; without a reader nothing waits, and the run is through."""
    home = house(lambda seen: Reply("One. Two. Three. Four. ", chunks=1), queue_events=1)
    stream = home.turns.run(ask("Count", model="direct"))
    await anext(stream)
    await asyncio.sleep(0.05)
    await stream.aclose()
    (record,) = [message for message in home.conversations.of(ADA) if message.role == "assistant"]
    assert record.text.split() == ["One.", "Two.", "Three.", "Four."]
    assert not record.result.cancelled


async def test_an_answer_whose_write_came_through_too_late_is_in_the_conversation_once(tmp_path: Path, logs):
    """Another process writes for longer than the turn waits: what was given up is written all the same, once."""
    engine = await fresh_engine(tmp_path)
    store = SqlConversationStore(engine)
    settings = AgentsSettings(lookup_timeout_s=1)
    models = ScriptedModels(lambda seen: Reply("Hello.", latency_s=0.5))
    turns = build_turns(settings, models, MemoryBus(), store)
    stream = turns.run(ask("Hi", model="direct"))
    started = await anext(stream)
    other = await asyncio.to_thread(sqlite3.connect, engine.url.database, check_same_thread=False)
    await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    ending = asyncio.create_task(collect(stream))
    while not any(entry["event"] == "run.failed" for entry in logs):
        await asyncio.sleep(0.01)
    await asyncio.to_thread(other.close)
    events = await ending
    assert isinstance(events[-1], RunFailed)
    kept = await store.history(ADA, started.conversation_id)
    assert [(message.role, message.text) for message in kept] == [("user", "Hi"), ("assistant", "Hello.")]
    await turns.close()
    await engine.dispose()


async def test_a_conversation_that_is_deleted_while_a_question_for_it_begins_stays_deleted(tmp_path: Path):
    engine = await fresh_engine(tmp_path)
    store = _DeletedOnceItIsOpened(engine)
    turns = build_turns(AgentsSettings(), ScriptedModels(lambda seen: "Hello."), MemoryBus(), store)
    first = await collect(turns.run(ask("Hi", model="direct")))
    again = ask("And now?", model="direct", conversation_id=first[0].conversation_id)
    (failed,) = await collect(turns.run(again))
    assert (failed.type, failed.code) == ("run.failed", "not_found")
    assert await store.list(ADA) == []
    await turns.close()
    await engine.dispose()


class _DeletedOnceItIsOpened(SqlConversationStore):
    """Its owner deletes a conversation just when the next turn has opened it."""

    async def open(self, principal: Principal, conversation_id: str | None) -> Conversation:
        opened = await super().open(principal, conversation_id)
        if conversation_id is not None:
            await self.delete(principal, conversation_id)
        return opened
