"""Every run's events, in order, for as many readers as ask: live from memory, later from the database.

The log drives a run: it pulls the runner's events in a task of its own, numbers them, and wakes the readers. So a
reader that goes away loses nothing, and a run can be stopped from anywhere. A reader that follows slowly slows the run
down; one that takes nothing any more is not waited for, and finds everything when it comes back. Finished runs are
written in groups.
"""

import asyncio
import contextlib
import time
import zlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from pydantic import TypeAdapter
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from runs.events import TERMINAL, RunCancelled, RunEvent, RunFailed, RunFinished, RunStarted
from runs.settings import RunsSettings
from runs.tables import run_record
from runs.waker import Waker
from signalbox.database import answered, reading, writing
from signalbox.errors import NotFound, UpstreamDown
from signalbox.identity import Principal

_EVENTS: TypeAdapter[list[RunEvent]] = TypeAdapter(list[RunEvent])
_FLUSH_EVERY_S = 0.2
_MAX_UNSAVED = 1000
_PRUNE_EVERY_S = 6 * 3600
_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Run:
    run_id: str
    tenant: str
    user: str
    started: float = field(default_factory=time.monotonic)
    conversation_id: str = ""
    events: list[RunEvent] = field(default_factory=list)
    readers: set["_Reader"] = field(default_factory=set)
    moved: Waker = field(default_factory=Waker)
    task: asyncio.Task[None] | None = None
    ended: bool = False
    saved: bool = False
    forgotten: bool = False

    def append(self, event: RunEvent) -> None:
        if self.ended:
            return
        changes: dict[str, Any] = {}
        if event.seq != (seq := len(self.events) + 1):
            changes["seq"] = seq
        if event.run_id != self.run_id:
            changes["run_id"] = self.run_id
        if not event.at_ms:
            changes["at_ms"] = round((time.monotonic() - self.started) * 1000, 1)
        if isinstance(event, RunStarted):
            self.conversation_id = event.conversation_id
        self.events.append(event.model_copy(update=changes) if changes else event)
        self.ended = isinstance(event, TERMINAL)
        for reader in self.readers:
            reader.waker.set()

    def leads(self, lag: int) -> bool:
        """Whether some reader is more than `lag` events behind."""
        return any(len(self.events) - reader.seen > lag for reader in self.readers)

    async def wait_for_readers(self, lag: int, patience_s: float) -> None:
        """Until no reader that still takes something is more than `lag` events behind."""
        while not self.ended:
            now = time.monotonic()
            behind = [
                reader.moved_at + patience_s - now
                for reader in self.readers
                if len(self.events) - reader.seen > lag and now - reader.moved_at < patience_s
            ]
            if not behind:
                return
            await self.moved.wait(max(0.01, min(behind)))

    def belongs_to(self, principal: Principal) -> bool:
        return (self.tenant, self.user) == (principal.tenant, principal.user)


@dataclass(eq=False)
class _Reader:
    seen: int
    waker: Waker = field(default_factory=Waker)
    moved_at: float = field(default_factory=time.monotonic)


class RunLog:
    """Runs in progress and their events; `None` as engine keeps finished runs in memory only."""

    def __init__(self, engine: AsyncEngine | None, settings: RunsSettings | None = None) -> None:
        self._engine = engine
        self._settings = settings or RunsSettings()
        self._live: dict[str, _Run] = {}
        self._finished: OrderedDict[str, _Run] = OrderedDict()
        self._unsaved: list[_Run] = []
        self._flushing = asyncio.Lock()
        self._work = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def running(self) -> int:
        """Runs whose work is not over."""
        return len(self._live)

    def start(
        self,
        owner: Principal,
        run_id: str,
        events: AsyncIterator[RunEvent],
        *,
        on_end: Callable[[RunEvent], None] | None = None,
    ) -> None:
        """Begin to pull `events` in a task; `on_end` gets the terminal event when that is over."""
        run = _Run(run_id=run_id, tenant=owner.tenant, user=owner.user)
        self._live[run_id] = run
        run.task = asyncio.create_task(self._pull(run, events), name=f"run {run_id}")
        run.task.add_done_callback(lambda _task: self._over(run, on_end))

    def batches(self, run_id: str, *, after_seq: int = 0, idle_s: float = 15) -> AsyncGenerator[list[RunEvent], None]:
        """Events of a run of this process from `after_seq` on, as many at once as there are; [] when idle."""
        return _read(self._here(run_id), after_seq, idle_s)

    async def ended(self, run_id: str) -> list[RunEvent]:
        """All events of a run of this process, once it has ended."""
        async with contextlib.aclosing(_read(self._here(run_id), 0, None)) as batches:
            return [event async for batch in batches for event in batch]

    async def subscribe(
        self, principal: Principal, run_id: str, *, after_seq: int = 0, idle_s: float = 15
    ) -> AsyncGenerator[list[RunEvent], None]:
        """As `batches`, for the run's owner alone (`NotFound` for others), and also for runs of earlier days."""
        run = self._find(run_id)
        if run is None:
            return _replay([event for event in await self._load(principal, run_id) if event.seq > after_seq])
        _check_owner(run, principal)
        return self.batches(run_id, after_seq=after_seq, idle_s=idle_s)

    async def events(self, principal: Principal, run_id: str, *, after_seq: int = 0) -> list[RunEvent]:
        """The events so far, for the run's owner."""
        run = self._find(run_id)
        if run is None:
            return [event for event in await self._load(principal, run_id) if event.seq > after_seq]
        _check_owner(run, principal)
        return run.events[max(after_seq, 0) :]

    async def cancel(self, principal: Principal, run_id: str, *, reason: str = "stopped by the user") -> bool:
        """Stop the owner's run; False when it had already ended."""
        run = self._find(run_id)
        if run is None:
            await self._load(principal, run_id)
            return False
        _check_owner(run, principal)
        return self.stop(run_id, reason=reason)

    def stop(self, run_id: str, *, reason: str) -> bool:
        """Stop a run for a reason of our own (its reader left, we shut down); False when it had ended."""
        run = self._find(run_id)
        if run is None or run.ended:
            return False
        run.append(RunCancelled(reason=reason))  # readers need not wait for the clean-up
        if run.task is not None:
            run.task.cancel()
        return True

    def stop_all(self, *, reason: str) -> int:
        """Stop everything that runs; how many that were."""
        return sum(self.stop(run_id, reason=reason) for run_id in list(self._live))

    def forget_conversation(self, principal: Principal, conversation_id: str) -> None:
        """Drop what memory holds of a conversation, stopping its runs; the database rows go with the conversation."""
        for run in [*self._live.values(), *self._finished.values()]:
            if run.conversation_id == conversation_id and run.belongs_to(principal):
                self.stop(run.run_id, reason="its conversation was deleted")
                run.forgotten = run.saved = True
                self._finished.pop(run.run_id, None)

    async def prune(self) -> int:
        """Remove finished runs older than the settings keep; how many that were."""
        if self._engine is None:
            return 0
        limit = datetime.now(UTC) - timedelta(days=self._settings.keep_days)
        async with writing(self._engine) as connection:
            result = await connection.execute(sa.delete(run_record).where(run_record.c.finished_at < limit))
        return result.rowcount

    async def close(self, *, grace_s: float = 3) -> None:
        """Stop what still runs, wait for it a little, and write what is not written."""
        self._closing = True
        self.stop_all(reason="the server is shutting down")
        tasks = [run.task for run in self._live.values() if run.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=grace_s)
        if self._flusher is not None:
            self._work.set()
            await asyncio.wait([self._flusher], timeout=grace_s)
            self._flusher.cancel()  # it waits for a database that does not answer
        try:
            await answered(self.flush(), grace_s)
        except UpstreamDown as error:
            _log.warning("runs.not_saved", runs=len(self._unsaved), error=type(error).__name__)

    async def flush(self) -> None:
        """Write every finished run that is not in the database yet, in one transaction."""
        async with self._flushing:
            batch = [run for run in self._unsaved if not run.saved]
            if self._engine is None or not batch:
                self._unsaved.clear()
                return
            try:
                await _save(self._engine, [row for run in batch if (row := _row(run)) is not None])
                if gone := [run.run_id for run in batch if run.forgotten]:  # deleted while it was being written
                    await _remove(self._engine, gone)
            except SQLAlchemyError as error:  # kept for the next time, within bounds
                _log.warning("runs.not_saved", runs=len(batch), error=type(error).__name__)
                for run in batch[:-_MAX_UNSAVED]:
                    run.saved = True
            else:
                for run in batch:
                    run.saved = True
            self._unsaved = [run for run in self._unsaved if not run.saved]

    async def _pull(self, run: _Run, events: AsyncIterator[RunEvent]) -> None:
        try:
            async for event in events:
                run.append(event)
                if run.ended:
                    break
                if run.leads(self._settings.reader_lag_events):
                    await run.wait_for_readers(self._settings.reader_lag_events, self._settings.reader_patience_s)
                if len(run.events) >= self._settings.max_events:
                    run.append(RunFailed(code="too_large", message="The run emitted too many events.", status=500))
                    break
            else:
                run.append(RunFailed(code="internal", message="The run ended without a result."))
        except asyncio.CancelledError:
            run.append(RunCancelled(reason="cancelled"))
            raise
        except Exception:  # noqa: BLE001 - the root of a run
            _log.exception("run.crashed", run_id=run.run_id)
            run.append(RunFailed(code="internal", message="Something went wrong on our side. Try again."))
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    def _over(self, run: _Run, on_end: Callable[[RunEvent], None] | None) -> None:
        if not run.ended:  # the task was cancelled before it took its first step
            run.append(RunCancelled(reason="cancelled"))
        run.task = None
        self._live.pop(run.run_id, None)
        if not run.forgotten:
            self._finished[run.run_id] = run
            self._unsaved.append(run)
        if on_end is not None:
            on_end(run.events[-1])
        self._evict()
        if self._closing or self._engine is None:
            return
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_forever(), name="run log flusher")
        self._work.set()

    def _evict(self) -> None:
        limit, held = self._settings, sum(len(run.events) for run in self._finished.values())
        while len(self._finished) > limit.keep_in_memory or (held > limit.keep_events_in_memory and self._engine):
            oldest = next(iter(self._finished.values()))
            if not oldest.saved and self._engine is not None:
                return  # the next flush comes back here
            del self._finished[oldest.run_id]
            held -= len(oldest.events)

    async def _flush_forever(self) -> None:
        next_prune = 0.0
        while not self._closing:
            if time.monotonic() >= next_prune:
                next_prune = time.monotonic() + _PRUNE_EVERY_S
                await self._try_prune()
            await self._work.wait()
            self._work.clear()
            if not self._closing:
                await asyncio.sleep(_FLUSH_EVERY_S)  # what ends meanwhile shares the transaction
            await self.flush()
            self._evict()

    def _here(self, run_id: str) -> _Run:
        run = self._find(run_id)
        if run is None:
            raise _unknown(run_id)
        return run

    def _find(self, run_id: str) -> _Run | None:
        return self._live.get(run_id) or self._finished.get(run_id)

    async def _try_prune(self) -> None:
        try:
            await self.prune()
        except SQLAlchemyError as error:
            _log.warning("runs.not_pruned", error=type(error).__name__)

    async def _load(self, principal: Principal, run_id: str) -> list[RunEvent]:
        if self._engine is not None:
            query = sa.select(run_record.c.events).where(
                run_record.c.run_id == run_id,
                run_record.c.tenant == principal.tenant,
                run_record.c.user == principal.user,
            )
            async with reading(self._engine) as connection:
                packed = (await connection.execute(query)).scalar()
            if packed is not None:
                return _EVENTS.validate_json(zlib.decompress(packed))
        raise _unknown(run_id)


async def _read(run: _Run, after_seq: int, idle_s: float | None) -> AsyncGenerator[list[RunEvent], None]:
    reader = _Reader(max(after_seq, 0))
    run.readers.add(reader)
    try:
        while True:
            if batch := run.events[reader.seen :]:
                reader.moved_at = time.monotonic()
                yield batch  # taken when the next one is asked for
                reader.seen += len(batch)
                reader.moved_at = time.monotonic()
                run.moved.set()
            if run.ended and reader.seen >= len(run.events):
                return
            if reader.seen >= len(run.events) and not await reader.waker.wait(idle_s):
                yield []
    finally:
        run.readers.discard(reader)
        run.moved.set()


async def _replay(events: list[RunEvent]) -> AsyncGenerator[list[RunEvent], None]:
    yield events


def _check_owner(run: _Run, principal: Principal) -> None:
    if not run.belongs_to(principal):
        raise _unknown(run.run_id)


def _unknown(run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id!r}.", hint="Runs are found by their owner alone.")


async def _save(engine: AsyncEngine, rows: list[dict[str, Any]]) -> None:
    known = sa.select(run_record.c.run_id).where(run_record.c.run_id.in_([row["run_id"] for row in rows]))
    async with writing(engine) as connection:
        # A commit whose connection broke may have been made all the same.
        there = set((await connection.execute(known)).scalars())
        if fresh := [row for row in rows if row["run_id"] not in there]:
            await connection.execute(sa.insert(run_record), fresh)


async def _remove(engine: AsyncEngine, run_ids: list[str]) -> None:
    async with writing(engine) as connection:
        await connection.execute(sa.delete(run_record).where(run_record.c.run_id.in_(run_ids)))


def _row(run: _Run) -> dict[str, Any] | None:
    """The run as it is stored; None, and an entry in the log, for one that cannot be: it must not keep others out."""
    try:
        events = _EVENTS.dump_json(run.events)
    except (ValueError, TypeError, RecursionError) as error:
        _log.error("run.not_storable", run_id=run.run_id, error=type(error).__name__)
        return None
    last = run.events[-1]
    state = "finished" if isinstance(last, RunFinished) else "failed" if isinstance(last, RunFailed) else "cancelled"
    return {
        "run_id": run.run_id,
        "tenant": run.tenant,
        "user": run.user,
        "conversation_id": run.conversation_id,
        "state": state,
        "finished_at": datetime.now(UTC),
        "events": zlib.compress(events, 1),
    }
