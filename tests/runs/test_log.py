"""The run event log: nothing is lost, everything ends."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from runs.events import (
    TERMINAL,
    AnswerSegment,
    RunCancelled,
    RunEvent,
    RunFailed,
    RunFinished,
    RunResult,
    RunStarted,
)
from runs.log import RunLog
from runs.settings import RunsSettings
from runs.tables import run_record
from signalbox.database import open_engine
from signalbox.errors import NotFound
from signalbox.identity import Principal
from tests.cable import Cable
from tests.postgres import Postgres
from tests.runs.database import discard, fresh_postgres

ADA = Principal(user="ada")
BRUNO = Principal(user="bruno")
ADA_ELSEWHERE = Principal(user="ada", tenant="other")


def finished(run_id: str = "run_1") -> RunFinished:
    return RunFinished(result=RunResult(run_id=run_id, conversation_id="conv_1", text="ab", engine="scripted"))


async def script(words: Sequence[str] = "ab", *, pause_s: float = 0) -> AsyncGenerator[RunEvent, None]:
    yield RunStarted(conversation_id="conv_1", model="signalbox")
    for word in words:
        await asyncio.sleep(pause_s)
        yield AnswerSegment(text=word)
    yield finished()


async def read(log: RunLog, run_id: str = "run_1", after_seq: int = 0) -> list[RunEvent]:
    return [event async for batch in log.batches(run_id, after_seq=after_seq) for event in batch]


@pytest.fixture
async def log(engine: AsyncEngine):
    log = RunLog(engine, RunsSettings(keep_in_memory=3, max_events=100))
    yield log
    await log.close()


async def test_every_reader_gets_every_event_in_order(log: RunLog):
    log.start(ADA, "run_1", script(pause_s=0.01))
    early, other = await asyncio.gather(read(log), read(log))
    assert early == other == await read(log)
    assert [event.seq for event in early] == [1, 2, 3, 4]
    assert {event.run_id for event in early} == {"run_1"}
    assert await read(log, after_seq=2) == early[2:]
    assert await read(log, after_seq=99) == []


@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pauses=st.lists(st.sampled_from([0.0, 0.001]), max_size=8), cut=st.integers(0, 12))
async def test_a_reader_that_comes_back_misses_and_repeats_nothing(pauses, cut):
    log = RunLog(None)

    async def events() -> AsyncGenerator[RunEvent, None]:
        yield RunStarted(conversation_id="conv_1", model="signalbox")
        for number, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            yield AnswerSegment(text=str(number))
        yield finished()

    log.start(ADA, "run_1", events())
    seen: list[RunEvent] = []
    async for batch in log.batches("run_1"):
        seen += batch
        if len(seen) >= cut:
            break
    seen += await read(log, after_seq=len(seen))
    assert [event.seq for event in seen] == list(range(1, len(pauses) + 3))
    await log.close()


async def test_idle_readers_are_told_that_nothing_happened(log: RunLog):
    log.start(ADA, "run_1", script("a", pause_s=0.15))
    batches = [batch async for batch in log.batches("run_1", idle_s=0.05)]
    assert [] in batches
    assert [event for batch in batches for event in batch] == await read(log)


async def test_a_finished_run_is_read_from_the_database_by_its_owner_alone(log: RunLog, engine: AsyncEngine):
    log.start(ADA, "run_1", script())
    events = await read(log)
    await asyncio.sleep(0)
    await log.flush()
    later = RunLog(engine)
    assert await later.events(ADA, "run_1") == events
    assert await later.events(ADA, "run_1", after_seq=3) == events[3:]
    assert [batch async for batch in await later.subscribe(ADA, "run_1", after_seq=1)] == [events[1:]]
    assert await later.cancel(ADA, "run_1") is False
    for stranger in (BRUNO, ADA_ELSEWHERE):
        for reader in (log, later):
            with pytest.raises(NotFound):
                await reader.events(stranger, "run_1")
            with pytest.raises(NotFound):
                await reader.subscribe(stranger, "run_1")
            with pytest.raises(NotFound):
                await reader.cancel(stranger, "run_1")


async def test_a_stopped_run_ends_at_once_and_its_work_is_cancelled(log: RunLog):
    cleaned = asyncio.Event()

    async def endless() -> AsyncGenerator[RunEvent, None]:
        yield RunStarted(conversation_id="conv_1", model="signalbox")
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.set()

    ended: list[RunEvent] = []
    log.start(ADA, "run_1", endless(), on_end=ended.append)
    await asyncio.sleep(0.01)
    assert await log.cancel(ADA, "run_1", reason="enough") is True
    events = await read(log)
    assert isinstance(events[-1], RunCancelled)
    assert events[-1].reason == "enough"
    async with asyncio.timeout(1):
        await cleaned.wait()
    await asyncio.sleep(0.01)
    assert ended == [events[-1]]
    assert await log.cancel(ADA, "run_1") is False


async def test_a_run_stopped_before_its_first_step_ends_too(log: RunLog):
    ended: list[RunEvent] = []
    log.start(ADA, "run_1", script(), on_end=ended.append)
    log.stop("run_1", reason="at once")
    assert [type(event) for event in await read(log)] == [RunCancelled]
    await asyncio.sleep(0.01)
    assert len(ended) == 1


@pytest.mark.parametrize("fault", ["crash", "no end", "too many"])
async def test_a_run_that_breaks_its_contract_still_ends_once(log: RunLog, fault):
    async def events() -> AsyncGenerator[RunEvent, None]:
        yield RunStarted(conversation_id="conv_1", model="signalbox")
        if fault == "crash":
            raise RuntimeError("secret")
        while fault == "too many":
            yield AnswerSegment(text="x")

    log.start(ADA, "run_1", events())
    found = await read(log)
    assert isinstance(found[-1], RunFailed)
    assert "secret" not in found[-1].message
    assert sum(isinstance(event, TERMINAL) for event in found) == 1


async def test_what_ends_together_is_written_together(log: RunLog, engine: AsyncEngine):
    commits = 0

    @sa.event.listens_for(engine.sync_engine, "commit")
    def count(_connection: object) -> None:
        nonlocal commits
        commits += 1

    for number in range(20):
        log.start(ADA, f"run_{number}", script())
    await asyncio.gather(*(read(log, f"run_{number}") for number in range(20)))
    await asyncio.sleep(0.5)
    assert commits <= 2
    async with engine.connect() as connection:
        rows = (await connection.execute(sa.select(sa.func.count()).select_from(run_record))).scalar()
    assert rows == 20
    assert len(log._finished) <= 3
    assert await log.events(ADA, "run_0")


async def test_a_run_that_cannot_be_written_keeps_no_other_out(log: RunLog, engine: AsyncEngine):
    log.start(ADA, "run_1", script(["half of a pair: \ud800"]))
    log.start(ADA, "run_2", script())
    events = [await read(log, run_id) for run_id in ("run_1", "run_2")]
    await settled()
    await log.flush()
    later = RunLog(engine)
    assert await later.events(ADA, "run_2") == events[1]
    with pytest.raises(NotFound):
        await later.events(ADA, "run_1")
    assert await log.events(ADA, "run_1") == events[0]


async def test_a_run_that_is_written_already_keeps_no_other_out(log: RunLog, engine: AsyncEngine):
    """As after a commit whose confirmation was lost."""
    for one, run_ids in ((RunLog(engine), ["run_1"]), (log, ["run_1", "run_2"])):
        for run_id in run_ids:
            one.start(ADA, run_id, script())
            await read(one, run_id)
        await settled()
        await one.flush()
    later = RunLog(engine)
    assert [len(await later.events(ADA, run_id)) for run_id in ("run_1", "run_2")] == [4, 4]


async def test_a_run_whose_conversation_is_deleted_while_it_is_written_leaves_no_row(log: RunLog, engine: AsyncEngine):
    def delete(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("INSERT INTO run_record"):
            log.forget_conversation(ADA, "conv_1")  # whose rows are deleted before this one is there to be seen

    event.listen(engine.sync_engine, "before_cursor_execute", delete)
    log.start(ADA, "run_1", script())
    await read(log)
    await settled()
    await log.flush()
    with pytest.raises(NotFound):
        await RunLog(engine).events(ADA, "run_1")


async def test_closing_does_not_wait_for_a_database_that_is_cut_off(postgres_server: Postgres):
    engine = await fresh_postgres(postgres_server)
    async with Cable().to("127.0.0.1", engine.url.port or 0) as cable:
        through = open_engine(engine.url.set(port=cable.port).render_as_string(hide_password=False))
        log = RunLog(through)
        await log.prune()
        cable.cut()
        log.start(ADA, "run_1", script())
        await read(log)
        await log.close(grace_s=0.2)
    await through.dispose()
    await discard(postgres_server, engine)


async def test_old_runs_are_removed(engine: AsyncEngine):
    log = RunLog(engine, RunsSettings(keep_days=1))
    log.start(ADA, "run_1", script())
    await read(log)
    await log.close()
    assert await log.prune() == 0
    async with engine.begin() as connection:
        long_ago = datetime.now(UTC) - timedelta(days=2)
        await connection.execute(sa.update(run_record).values(finished_at=long_ago))
    assert await log.prune() == 1


async def test_closing_stops_what_runs_and_keeps_it(engine: AsyncEngine):
    log = RunLog(engine)
    log.start(ADA, "run_1", script(pause_s=3600))
    await asyncio.sleep(0.01)
    await log.close(grace_s=1)
    events = await RunLog(engine).events(ADA, "run_1")
    assert [type(event) for event in events] == [RunStarted, RunCancelled]


async def many(count: int, made: list[int]) -> AsyncGenerator[RunEvent, None]:
    yield RunStarted(conversation_id="conv_1", model="signalbox")
    for number in range(count):
        made.append(number)
        yield AnswerSegment(text=str(number))
    yield RunFailed(code="x", message="the end")


async def settled() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_slow_reader_slows_the_run_and_loses_nothing(engine: AsyncEngine):
    log = RunLog(engine, RunsSettings(reader_lag_events=10))
    made: list[int] = []
    log.start(ADA, "run_1", many(100, made))
    batches = log.batches("run_1")
    first = await anext(batches)
    await settled()
    assert len(made) <= len(first) + 11
    rest = [event async for batch in batches for event in batch]
    assert [event.seq for event in [*first, *rest]] == list(range(1, 103))
    await log.close()


async def test_a_reader_that_leaves_holds_nothing_up_and_finds_everything_when_it_is_back(engine: AsyncEngine):
    log = RunLog(engine, RunsSettings(reader_lag_events=10))
    made: list[int] = []
    log.start(ADA, "run_1", many(100, made))
    batches = log.batches("run_1")
    first = await anext(batches)
    await settled()
    await batches.aclose()
    await settled()
    assert len(made) == 100
    resumed = await log.subscribe(ADA, "run_1", after_seq=first[-1].seq)
    rest = [event async for batch in resumed for event in batch]
    assert [event.seq for event in [*first, *rest]] == list(range(1, 103))
    await log.close()


async def test_a_reader_that_takes_nothing_is_not_waited_for_for_ever(engine: AsyncEngine):
    log = RunLog(engine, RunsSettings(reader_lag_events=10, reader_patience_s=0.05))
    made: list[int] = []
    log.start(ADA, "run_1", many(100, made))
    batches = log.batches("run_1")
    first = await anext(batches)
    async with asyncio.timeout(5):
        while len(made) < 100:
            await asyncio.sleep(0.01)
    rest = [event async for batch in batches for event in batch]
    assert [event.seq for event in [*first, *rest]] == list(range(1, 103))
    await log.close()


async def test_memory_holds_so_many_events_of_finished_runs_and_the_database_the_rest(engine: AsyncEngine):
    log = RunLog(engine, RunsSettings(keep_events_in_memory=120))
    for number in range(3):
        log.start(ADA, f"run_{number}", many(100, []))
        await read(log, f"run_{number}")
    await log.flush()
    log.start(ADA, "run_last", many(1, []))
    await read(log, "run_last")
    await settled()
    assert sum(len(run.events) for run in log._finished.values()) <= 120
    assert len(await log.events(ADA, "run_0")) == 102
    await log.close()
