"""Whoever stops a run stops everything that works for it, whatever phase it is in; seen from the far end."""

import asyncio
import contextlib
import json
import time

import pytest

from agents.contracts import Plan, Step
from agents.stop_audit import StopAudit
from runs.events import AnswerSegment
from tests.agents.memory import MemoryBus
from tests.agents.scripted import ADA, Reply, ask, call, evidence
from toolbus.audit import AuditLog, verify

REF = "1a2b3c4d"
LONG_S = 30


async def slow_search(_):
    await asyncio.sleep(LONG_S)
    return evidence(REF, "never")


def two_steps():
    steps = [("a", "knowledge"), ("b", "generalist")]
    return Plan(steps=[Step(id=name, specialist=specialist, task=name) for name, specialist in steps])


PHASES = {
    "planner": lambda seen: Reply("x", LONG_S),
    "specialist": lambda seen: two_steps() if seen.role == "planner" else Reply("x", LONG_S),
    "tool": lambda seen: Plan(steps=two_steps().steps[:1]) if seen.role == "planner" else [call("knowledge__search")],
    "synthesiser": lambda seen: (
        two_steps()
        if seen.role == "planner"
        else Reply("It is so. And so it goes on. And on. " * 9, LONG_S, chunks=900)
        if seen.role == "synthesiser"
        else "Found."
    ),
}


@pytest.mark.parametrize("way", ["close", "cancel"])
@pytest.mark.parametrize("phase", PHASES)
async def test_a_run_is_stopped_at_every_phase_and_the_far_end_knows(house, phase, way):
    bus = MemoryBus(knowledge__search=slow_search)
    home = house(PHASES[phase], bus, stop_grace_s=0.3)
    before = asyncio.all_tasks()
    seen: list = []
    stream = home.turns.run(ask("Go"))

    async def read():
        async with contextlib.aclosing(stream) as events:
            async for event in events:
                seen.append(event)
                if way == "close" and reached(phase, home, bus, seen):
                    return

    reader = asyncio.create_task(read())
    async with asyncio.timeout(5):
        while not reached(phase, home, bus, seen):
            await asyncio.sleep(0.01)
    started = time.monotonic()
    reader.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reader
    await home.turns.close()  # the reader may have been cancelled while it closed: the stop goes on without it
    assert time.monotonic() - started < 1
    assert all(call.cancelled for call in home.models.seen if not call.ended or call.ended > started)
    if phase == "tool":
        assert bus.cancelled == ["knowledge__search"]
    assert bus.completed == []
    assert asyncio.all_tasks() - before - {reader} == set()
    _, record = home.conversations.of(ADA)
    assert record.result is not None
    assert record.result.text == "".join(event.text for event in seen if isinstance(event, AnswerSegment))
    assert record.result.cancelled
    if phase in ("specialist", "tool"):
        assert {step.status for step in record.result.steps} == {"cancelled"}
    if phase == "synthesiser":
        assert record.result.text.startswith("It is so. ")


async def stopped_when(home, question, ripe):
    async def stop():
        while not ripe():
            await asyncio.sleep(0.01)
        await home.turns.cancel(ADA, question.run_id)

    async with asyncio.TaskGroup() as group:
        group.create_task(stop())
        async for event in home.turns.run(question):
            yield event


def reached(phase, home, bus, seen):
    match phase:
        case "tool":
            return bool(bus.started)
        case "synthesiser":
            return any(isinstance(event, AnswerSegment) for event in seen)
        case "specialist":
            return len([call for call in home.models.seen if call.role.startswith("specialist")]) == 2
    return bool(home.models.seen)


async def test_a_stopped_run_is_in_the_audit_log_without_its_content(house, tmp_path):
    audit = AuditLog(tmp_path / "audit.jsonl")
    home = house(PHASES["specialist"], extra={"stops": StopAudit(audit)})
    question = ask("A secret question")
    events = [event async for event in stopped_when(home, question, lambda: reached("specialist", home, None, []))]
    assert events[-1].type == "run.cancelled"
    await audit.close()
    (record,) = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    told = {key: record[key] for key in ("event", "user", "surface", "reason", "steps", "released_chars")}
    assert told == {
        "event": "run.stopped",
        "user": ADA.user,
        "surface": "openai",
        "reason": "stopped by the user",
        "steps": {"a": "cancelled", "b": "cancelled"},
        "released_chars": 0,
    }
    assert "secret" not in (tmp_path / "audit.jsonl").read_text()
    assert verify(tmp_path / "audit.jsonl").intact


async def test_a_reader_that_is_gone_does_not_hold_up_the_stop(house):
    """The queue is full and nobody reads it: producers that wait for room must go on all the same."""
    text = "".join(f"Sentence number {index} is here. " for index in range(50))
    home = house(lambda seen: Reply(text, chunks=50), queue_events=2)
    stream = home.turns.run(ask("Tell", model="direct"))
    await anext(stream)
    await asyncio.sleep(0.05)
    started = time.monotonic()
    await stream.aclose()
    assert time.monotonic() - started < 1
    assert home.conversations.of(ADA)[-1].result.cancelled


async def test_a_step_that_times_out_stops_its_tool_too(house):
    def say(seen):
        if seen.role == "planner":
            return Plan(steps=two_steps().steps[:1])
        return [call("knowledge__search")]

    bus = MemoryBus(knowledge__search=slow_search)
    home = house(say, bus, specialists={"knowledge": {"module": "agents.specialists.knowledge", "timeout_s": 0.2}})
    events = [event async for event in home.turns.run(ask("Go"))]
    assert bus.cancelled == ["knowledge__search"]
    assert events[-1].result.text == "I could not answer this. The knowledge specialist did not answer within 0.2 s."


async def test_an_answer_that_is_complete_is_kept_although_the_reader_leaves_meanwhile(house):
    home = house(lambda seen: "Hello.")
    add = home.conversations.add_answer
    writing = asyncio.Event()

    async def slowly(*args):
        writing.set()
        await asyncio.sleep(0.2)
        await add(*args)

    home.conversations.add_answer = slowly
    stream = home.turns.run(ask("Hi", model="direct"))
    reader = asyncio.create_task(anext(stream))
    await reader
    await writing.wait()
    await stream.aclose()
    (record,) = [message for message in home.conversations.of(ADA) if message.role == "assistant"]
    assert record.text == "Hello."
    assert not record.result.cancelled
