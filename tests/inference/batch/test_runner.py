"""What happens to a batch: nothing done is lost or done twice, whatever ends the process."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
import structlog.testing
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from inference.batch.assembly import build_batches
from inference.batch.contracts import Batch, BatchState, Counts, Interrupted, Line
from inference.batch.settings import BatchSettings
from inference.batch.slots import IdleSlots
from inference.batch.tables import batch
from inference.batch.work import LostBatch, WorkStore
from signalbox.errors import BudgetSpent
from signalbox.identity import Principal
from tests.inference.batch.conftest import ADA, Desk, Office, replied

COMPLETED, CANCELLED, EXPIRED = BatchState.COMPLETED, BatchState.CANCELLED, BatchState.EXPIRED


async def test_lines_are_answered_once_for_their_owner_and_never_more_at_once_than_there_are_places(office: Office):
    async def slow(body):
        await asyncio.sleep(0.01)
        return replied(body["q"])

    office.worker.script = slow
    questions = [str(number) for number in range(250)]
    done = await office.until(await office.hand_in(*questions), COMPLETED)
    assert done.counts == Counts(total=250, completed=250, failed=0)
    assert Counter(office.worker.asked) == Counter(questions)
    assert office.worker.owners == {ADA}, "with the groups and scopes of whoever handed it in"
    assert office.worker.most == 4
    assert [line["response"]["body"]["text"] for line in await office.lines(done.output_file_id)] == questions


async def test_what_was_finished_before_a_restart_is_not_done_again(office: Office):
    release = asyncio.Event()

    async def first_three(body):
        if int(body["q"]) >= 3:
            await release.wait()
        return replied(body["q"])

    office.worker.script = first_three
    batch_id = await office.hand_in(*map(str, range(10)))
    while (await office.batches.store.get(ADA, batch_id)).counts.completed < 3:
        await asyncio.sleep(0.01)
    await office.runner.close()
    assert office.worker.running == 0
    office.worker.asked.clear()
    release.set()
    office.runner = office.new_runner()
    await office.runner.start()
    done = await office.until(batch_id, COMPLETED)
    assert sorted(map(int, office.worker.asked)) == list(range(3, 10))
    assert done.counts == Counts(total=10, completed=10, failed=0)
    assert [line["custom_id"] for line in await office.lines(done.output_file_id)] == [f"id-{n}" for n in range(10)]


async def test_a_line_that_the_end_of_the_process_stopped_is_worked_on_again(office: Office):
    async def stopped(_body):
        raise Interrupted

    office.worker.script = stopped
    batch_id = await office.hand_in("a", "b")
    while len(office.worker.asked) < 2:
        await asyncio.sleep(0.01)
    await office.runner.close()
    assert (await office.batches.store.get(ADA, batch_id)).state is BatchState.IN_PROGRESS
    office.worker.script = None
    office.runner = office.new_runner()
    await office.runner.start()
    done = await office.until(batch_id, COMPLETED)
    assert done.counts == Counts(total=2, completed=2, failed=0)


async def test_a_line_is_tried_again_while_its_model_is_busy_or_down(office: Office):
    states = iter([503, 429, 200])

    async def recovering(body):
        return replied(body["q"], next(states), retry_after_s=0.01)

    office.worker.script = recovering
    done = await office.until(await office.hand_in("a"), COMPLETED)
    assert (done.counts.completed, len(office.worker.asked)) == (1, 3)


class TestImpatient:
    @pytest.fixture
    def batch_settings(self) -> BatchSettings:
        return BatchSettings(lease_s=4, retry_for_s=0, line_timeout_s=0.05)

    async def test_a_line_whose_model_stays_down_or_hangs_fails_and_says_so(self, office: Office):
        async def broken(body):
            if body["q"] == "hangs":
                await asyncio.Event().wait()
            return replied("down", 503)

        office.worker.script = broken
        done = await office.until(await office.hand_in("hangs", "down"), COMPLETED)
        errors = await office.lines(done.error_file_id)
        assert [line["response"]["status_code"] for line in errors] == [504, 503]


async def test_the_window_closes_on_what_was_not_done(office: Office):
    async def only_a(body):
        if body["q"] != "a":
            await asyncio.Event().wait()
        return replied(body["q"])

    office.worker.script = only_a
    batch_id = await office.hand_in("a", *map(str, range(10)))
    while (await office.batches.store.get(ADA, batch_id)).counts.completed < 1:
        await asyncio.sleep(0.01)
    await office.runner.close()
    office.clock.ahead = timedelta(hours=24, seconds=1)
    office.runner = office.new_runner()
    await office.runner.start()
    done = await office.until(batch_id, EXPIRED)
    assert done.counts == Counts(total=11, completed=1, failed=10)
    assert {line["error"]["code"] for line in await office.lines(done.error_file_id)} == {"batch_expired"}
    assert len(await office.lines(done.output_file_id)) == 1


async def test_a_batch_that_is_cancelled_before_its_lines_are_read_ends_without_any(office: Office):
    await office.runner.close()
    batch_id = await office.hand_in("a", "b")
    await office.batches.store.cancel(ADA, batch_id)
    office.runner = office.new_runner()
    await office.runner.start()
    done = await office.until(batch_id, CANCELLED)
    assert (office.worker.asked, done.counts.completed, done.output_file_id) == ([], 0, None)


async def test_batches_of_several_people_take_turns(office: Office):
    order = []

    async def note(body):
        order.append(body["q"][0])
        await asyncio.sleep(0.005)
        return replied("x")

    office.worker.script = note
    bruno = Principal(user="bruno")
    first = await office.hand_in(*(f"a{n}" for n in range(60)))
    await office.until(first, BatchState.IN_PROGRESS)
    second = await office.hand_in(*(f"b{n}" for n in range(8)), owner=bruno)
    await office.until(second, COMPLETED, owner=bruno)
    assert (await office.batches.store.get(ADA, first)).state is BatchState.IN_PROGRESS
    await office.until(first, COMPLETED)


async def test_batches_stand_back_behind_people_and_stop_for_a_shutdown(office: Office):
    gate = asyncio.Semaphore(0)

    async def wait(body):
        await gate.acquire()
        return replied(body["q"])

    office.worker.script = wait
    office.desk.people = 3
    batch_id = await office.hand_in(*map(str, range(20)))
    await office.until(batch_id, BatchState.IN_PROGRESS)
    await asyncio.sleep(0.25)
    assert office.worker.running == 1
    office.desk.people = 1
    while office.worker.running < 3:
        await asyncio.sleep(0.01)
    office.desk.people = 50
    gate.release()
    gate.release()
    await asyncio.sleep(0.25)
    assert office.worker.running == 1, "one goes on, however many people there are"
    office.desk.draining = True
    gate.release()
    await asyncio.sleep(0.25)
    assert office.worker.running == 0


def test_each_person_displaces_several_lines_and_counts_for_a_while_after(monkeypatch: pytest.MonkeyPatch):
    desk, now = Desk(), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    slots = IdleSlots(desk, BatchSettings(concurrency=10, stand_back=4, min_concurrency=1, quiet_after_s=3))
    allowed = []
    for people, passed_s in ((0, 0), (1, 1), (2, 1), (5, 1), (0, 1), (0, 2.5), (0, 0)):
        desk.people, now[0] = people, now[0] + passed_s
        allowed.append(slots.allowed)
    assert allowed == [10, 6, 2, 1, 1, 10, 10]


async def test_a_result_counts_once_and_only_from_whoever_holds_the_batch(office: Office):
    await office.runner.close()
    batch_id = await office.hand_in("a")
    one = WorkStore(office.engine, office.settings, "one", clock=office.clock)
    two = WorkStore(office.engine, office.settings, "two", clock=office.clock)
    (work,) = await one.claim(room=8)
    assert await two.claim(room=8) == [], "the lease of another holds"
    rows = [{"position": 0, "custom_id": "id-a", "body": b"{}"}, {"position": 1, "custom_id": "id-b", "body": b"{}"}]
    await one.begin(work, rows)
    line, other = Line(position=0, custom_id="id-a", body={}), Line(position=1, custom_id="id-b", body={})
    await one.record(work, [(line, b"first\n")], "output")
    await one.record(work, [(line, b"second\n")], "output")
    office.clock.ahead = timedelta(seconds=5)
    assert await one.claim(room=8) == [], "its own, though it was silent for too long"
    assert [found.batch.id for found in await two.claim(room=8)] == [batch_id], "a silent process loses it"
    with pytest.raises(LostBatch):
        await one.record(work, [(other, b"late\n")], "output")
    assert (await office.batches.store.get(ADA, batch_id)).counts.completed == 1
    assert [found.position for found in await two.open_lines(batch_id, after=-1, limit=9)] == [1]
    assert await one.renew() == {}
    assert list(await two.renew()) == [batch_id]


@pytest.mark.parametrize("batch_settings", [BatchSettings(enabled=False)])
async def test_a_cancellation_in_the_moment_when_work_begins_is_not_written_over(engine: AsyncEngine, batch_settings):
    office = Office(engine, batch_settings)
    batch_id = await office.hand_in("a")
    store = WorkStore(engine, batch_settings, "one")
    (work,) = await store.claim(room=1)
    cancelling: list[asyncio.Task[Batch]] = []

    def cancel(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if not cancelling and "batch.times" in statement:  # the state is read, the next one not yet written
            cancelling.append(asyncio.create_task(office.batches.store.cancel(ADA, batch_id)))
            await_only(asyncio.wait(cancelling, timeout=0.3))

    event.listen(engine.sync_engine, "after_cursor_execute", cancel)
    await store.begin(work, [{"position": 0, "custom_id": "id-a", "body": b"{}"}])
    assert (await cancelling[0]).state is BatchState.CANCELLING
    assert (await office.batches.store.get(ADA, batch_id)).state is BatchState.CANCELLING


async def test_files_that_come_at_once_have_one_quota(engine: AsyncEngine):
    files = build_batches(engine, BatchSettings(max_user_bytes=1500)).files
    begun = asyncio.Barrier(2)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * 500
        await begun.wait()
        yield b"x" * 500

    came = await asyncio.gather(*(files.add(ADA, name, slowly()) for name in "ab"), return_exceptions=True)
    assert sorted(type(one) for one in came if isinstance(one, Exception)) == [BudgetSpent]
    assert [kept.bytes for kept in await files.list(ADA, limit=9)] == [1000]


async def test_a_batch_that_cannot_be_read_keeps_no_other_waiting(engine: AsyncEngine, batch_settings: BatchSettings):
    office = Office(engine, batch_settings)
    spoiled = await office.hand_in("a")
    async with engine.begin() as connection:
        await connection.execute(sa.update(batch).where(batch.c.id == spoiled).values(request="{"))
    await office.runner.start()
    with structlog.testing.capture_logs() as logs:
        await office.until(await office.hand_in("b"), COMPLETED)
    await office.runner.close()
    assert office.worker.asked == ["b"]
    assert "batch.unreadable" in [entry["event"] for entry in logs]


async def test_a_result_file_that_its_owner_deleted_is_not_made_again(office: Office):
    gate = asyncio.Event()

    async def second_waits(body):
        if body["q"] == "b":
            await gate.wait()
        return replied(body["q"])

    office.worker.script = second_waits
    batch_id = await office.hand_in("a", "b")
    while (found := await office.batches.store.get(ADA, batch_id)).output_file_id is None:
        await asyncio.sleep(0.01)
    await office.batches.files.delete(ADA, found.output_file_id)
    gate.set()
    done = await office.until(batch_id, COMPLETED)
    assert done.counts.completed == 2
    assert [item.purpose for item in await office.batches.files.list(ADA, limit=9)] == ["batch"]


async def test_an_error_of_ours_costs_a_batch_nothing_but_time(office: Office):
    broken = iter([RuntimeError("a bug")])

    async def sometimes(body):
        for error in broken:
            raise error
        return replied(body["q"])

    office.worker.script = sometimes
    with structlog.testing.capture_logs() as logs:
        done = await office.until(await office.hand_in("a", "b"), COMPLETED)
    assert done.counts == Counts(total=2, completed=2, failed=0)
    assert "batch.stopped" in [entry["event"] for entry in logs]


async def test_what_is_old_is_removed(office: Office):
    done = await office.until(await office.hand_in("a"), COMPLETED)
    assert await office.batches.store.prune() == 0
    office.clock.ahead = timedelta(days=31)
    assert await office.batches.store.prune() == 1
    assert await office.batches.files.prune() == 0, "files go by their own time"
    assert done.output_file_id
