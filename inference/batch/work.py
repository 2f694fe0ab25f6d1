"""The rows behind the work: who holds a batch, which lines are open, and what came of the others.

A batch is held by one process at a time, by a lease that runs out when the process is silent. Results are written
under the lease and once for each line, so a line whose result is there is never worked on again.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import orjson
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inference.batch.contracts import OPEN_STATES, BatchState, Line, LineFault, Outlet, Work
from inference.batch.files import result_file
from inference.batch.ids import result_file_id
from inference.batch.rows import entering, work_of
from inference.batch.settings import BatchSettings
from inference.batch.tables import batch, batch_file, batch_file_part, batch_line
from signalbox.database import reading, writing

_log = structlog.get_logger(__name__)
_ROWS_AT_ONCE = 500
_COUNTED: dict[Outlet, str] = {"output": "completed", "error": "failed"}
_FREE: dict[str, Any] = {"holder": "", "held_until": None}


class LostBatch(Exception):
    """Another process holds this batch now: whatever was done for it here does not count."""


def _now() -> datetime:
    return datetime.now(UTC)


class WorkStore:
    """What one process (`holder`) does to batches."""

    def __init__(
        self, engine: AsyncEngine, settings: BatchSettings, holder: str, *, clock: Callable[[], datetime] = _now
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._holder = holder
        self._clock = clock

    async def take_over(self) -> None:
        """Nobody else can be working: a SQLite file belongs to one process, and the one before has ended."""
        if self._engine.dialect.name != "sqlite":
            return
        async with writing(self._engine) as connection:
            await connection.execute(sa.update(batch).where(batch.c.holder != "").values(**_FREE))

    async def claim(self, *, room: int) -> list[Work]:
        """Hold up to `room` open batches that nobody holds, the oldest first, one of each person before a second.

        Never one of its own again: a lease that ran out while this process was slow is renewed, not begun anew.
        """
        now = self._clock()
        run_out = sa.or_(batch.c.held_until.is_(None), batch.c.held_until < now)
        free = sa.and_(batch.c.holder != self._holder, run_out)
        query = sa.select(batch).where(batch.c.state.in_(OPEN_STATES), free).order_by(batch.c.created_at).limit(1000)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        claimed: list[Work] = []
        readable = (work for row in _one_of_each_first(rows) if (work := _readable(row)) is not None)
        for work in islice(readable, room):
            hold = sa.update(batch).where(batch.c.id == work.batch.id, free).values(**self._lease(now))
            async with writing(self._engine) as connection:
                if (await connection.execute(hold)).rowcount:
                    claimed.append(work)
        return claimed

    async def renew(self) -> dict[str, BatchState]:
        """Hold on to what is held; the states of those batches."""
        mine = batch.c.holder == self._holder
        async with writing(self._engine) as connection:
            query = sa.select(batch.c.id, batch.c.state).where(mine, batch.c.state.in_(OPEN_STATES))
            found = {row.id: BatchState(row.state) for row in (await connection.execute(query)).all()}
            if found:
                still = sa.update(batch).where(mine, batch.c.id.in_(found))
                await connection.execute(still.values(**self._lease(self._clock())))
        return found

    async def release(self, batch_id: str | None = None) -> None:
        """Let go of a batch, or of all: whoever wants it next need not wait until the lease has run out."""
        mine = sa.update(batch).where(batch.c.holder == self._holder)
        if batch_id is not None:
            mine = mine.where(batch.c.id == batch_id)
        async with writing(self._engine) as connection:
            await connection.execute(mine.values(**_FREE))

    async def begin(self, work: Work, rows: Sequence[dict[str, Any]]) -> None:
        """Write the lines of a valid input file; a crash in between is made good by writing them again."""
        batch_id = work.batch.id
        async with writing(self._engine) as connection:
            await connection.execute(sa.delete(batch_line).where(batch_line.c.batch_id == batch_id))
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = [{**row, "batch_id": batch_id, "finished": False} for row in rows[start : start + _ROWS_AT_ONCE]]
            async with writing(self._engine) as connection:
                await connection.execute(sa.insert(batch_line), part)
        await self._enter(batch_id, [BatchState.IN_PROGRESS], total=len(rows))

    async def refuse(self, work: Work, faults: Sequence[LineFault]) -> None:
        """The input file cannot be worked on."""
        await self._enter(work.batch.id, [BatchState.FAILED], faults=[fault.model_dump() for fault in faults], **_FREE)

    async def open_lines(self, batch_id: str, *, after: int, limit: int) -> list[Line]:
        """Lines without a result, in order."""
        query = (
            sa.select(batch_line)
            .where(batch_line.c.batch_id == batch_id, batch_line.c.finished.is_(False), batch_line.c.position > after)
            .order_by(batch_line.c.position)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return [Line(position=row.position, custom_id=row.custom_id, body=orjson.loads(row.body)) for row in rows]

    async def record(self, work: Work, results: Sequence[tuple[Line, bytes]], outlet: Outlet) -> None:
        """Write results, all or none, each line's once; raises `LostBatch` when another process holds the batch."""
        batch_id, counted = work.batch.id, batch.c[_COUNTED[outlet]]
        async with writing(self._engine) as connection:
            fresh = [pair for pair in results if await _finish_line(connection, batch_id, pair[0])]
            if not fresh:
                return
            count = sa.update(batch).where(batch.c.id == batch_id, batch.c.holder == self._holder)
            if not (await connection.execute(count.values({counted: counted + len(fresh)}))).rowcount:
                raise LostBatch(batch_id)
            size = sum(len(data) for _, data in fresh)
            if await self._grow(connection, work, outlet, size):
                file_id = result_file_id(batch_id, outlet)
                parts = [{"file_id": file_id, "position": line.position, "data": data} for line, data in fresh]
                await connection.execute(sa.insert(batch_file_part), parts)

    async def end(self, work: Work, state: BatchState) -> None:
        """The batch is over; raises `LostBatch`."""
        # Results are written as they come, so there is nothing to finalise; clients find that state's time.
        states = [BatchState.FINALIZING, state] if state is BatchState.COMPLETED else [state]
        await self._enter(work.batch.id, states, **_FREE)

    async def _grow(self, connection: AsyncConnection, work: Work, outlet: Outlet, size: int) -> bool:
        """Make room in the result file, and the file with its first line; False when its owner deleted it."""
        file_id = result_file_id(work.batch.id, outlet)
        grown = sa.update(batch_file).where(batch_file.c.id == file_id).values(bytes=batch_file.c.bytes + size)
        if (await connection.execute(grown)).rowcount:
            return True
        column = batch.c[f"{outlet}_file_id"]
        known = (await connection.execute(sa.select(column).where(batch.c.id == work.batch.id))).scalar()
        if known is not None:
            return False
        filename = f"{work.batch.id}_{outlet}.jsonl"
        row = result_file(work.owner, file_id, filename, self._settings.keep_days)
        await connection.execute(sa.insert(batch_file), {**row, "bytes": size})
        await connection.execute(sa.update(batch).where(batch.c.id == work.batch.id).values({column: file_id}))
        return True

    async def _enter(self, batch_id: str, states: Sequence[BatchState], **values: Any) -> None:
        # Locked: its owner may be cancelling it, and a cancellation must not be written over.
        query = sa.select(batch).where(batch.c.id == batch_id, batch.c.holder == self._holder).with_for_update()
        async with writing(self._engine) as connection:
            row = (await connection.execute(query)).mappings().first()
            if row is None:
                raise LostBatch(batch_id)
            change: dict[str, Any] = {"state": row["state"], "times": row["times"]}
            # A batch that was cancelled while its lines were read stays so.
            if (row["state"], states[0]) != (BatchState.CANCELLING, BatchState.IN_PROGRESS):
                for state in states:
                    change = entering(change, state, self._clock())
            await connection.execute(sa.update(batch).where(batch.c.id == batch_id).values(**change, **values))

    def _lease(self, now: datetime) -> dict[str, Any]:
        return {"holder": self._holder, "held_until": now + timedelta(seconds=self._settings.lease_s)}


async def _finish_line(connection: AsyncConnection, batch_id: str, line: Line) -> bool:
    query = sa.update(batch_line).where(
        batch_line.c.batch_id == batch_id,
        batch_line.c.position == line.position,
        batch_line.c.finished.is_(False),
    )
    return bool((await connection.execute(query.values(finished=True, body=b""))).rowcount)


def _readable(row: Any) -> Work | None:
    """The work in a row; None for one that this version does not understand: it must not keep the others waiting."""
    try:
        return work_of(row)
    except ValueError as error:
        _log.error("batch.unreadable", batch=row["id"], error=type(error).__name__)
        return None


def _one_of_each_first(rows: Sequence[Any]) -> list[Any]:
    """The oldest of each person, then the second oldest of each, and so on."""
    turns: dict[tuple[str, str], int] = {}
    ranked: list[tuple[int, int, Any]] = []
    for number, row in enumerate(rows):
        who = (row["tenant"], row["user"])
        turns[who] = turns.get(who, -1) + 1
        ranked.append((turns[who], number, row))
    return [row for _, _, row in sorted(ranked, key=lambda item: item[:2])]
