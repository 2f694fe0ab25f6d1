"""Batches as their owners make, follow and cancel them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inference.batch.contracts import OPEN_STATES, Batch, BatchRequest, BatchState
from inference.batch.ids import new_batch_id
from inference.batch.rows import batch_of, entering, new_row, owned
from inference.batch.settings import BatchSettings
from inference.batch.tables import batch
from signalbox.database import reading, writing
from signalbox.errors import BudgetSpent, Conflict, NotFound
from signalbox.identity import Principal

_WINDOW = timedelta(hours=24)


def _now() -> datetime:
    return datetime.now(UTC)


class BatchStore:
    """Makes, lists and cancels batches; every query is scoped by tenant and user."""

    def __init__(self, engine: AsyncEngine, settings: BatchSettings, *, clock: Callable[[], datetime] = _now) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock

    async def create(self, principal: Principal, request: BatchRequest) -> Batch:
        """A new batch, to be validated; raises `BudgetSpent` when its owner has too many open ones."""
        now = self._clock()
        made = Batch(
            id=new_batch_id(),
            request=request,
            state=BatchState.VALIDATING,
            created_at=now,
            expires_at=now + _WINDOW,
        )
        still_open = sa.select(sa.func.count()).where(*owned(principal), batch.c.state.in_(OPEN_STATES))
        async with writing(self._engine) as connection:
            if (await connection.execute(still_open)).scalar_one() >= self._settings.max_open_batches:
                raise BudgetSpent(
                    f"You have {self._settings.max_open_batches} batches in progress already.",
                    hint="Wait for one to end, or cancel it.",
                )
            await connection.execute(sa.insert(batch), new_row(principal, made))
        return made

    async def get(self, principal: Principal, batch_id: str) -> Batch:
        """One batch; raises `NotFound`."""
        async with reading(self._engine) as connection:
            return await _own(connection, principal, batch_id)

    async def list(self, principal: Principal, *, limit: int, after: str | None = None) -> list[Batch]:
        """The principal's batches, latest first."""
        query = sa.select(batch).where(*owned(principal))
        async with reading(self._engine) as connection:
            if after is not None:
                last = await _own(connection, principal, after)
                position = sa.tuple_(batch.c.created_at, batch.c.id)
                query = query.where(position < sa.tuple_(sa.literal(last.created_at), sa.literal(last.id)))
            query = query.order_by(batch.c.created_at.desc(), batch.c.id.desc()).limit(limit)
            return [batch_of(row) for row in (await connection.execute(query)).mappings().all()]

    async def cancel(self, principal: Principal, batch_id: str) -> Batch:
        """Ask for the end of a batch; what is done is kept. Raises `Conflict` when it has ended already."""
        async with writing(self._engine) as connection:
            row = await _own_row(connection, principal, batch_id, lock=True)  # its worker may be ending it now
            found = batch_of(row)
            if found.state is BatchState.CANCELLING:
                return found
            if found.state not in OPEN_STATES:
                raise Conflict(f"The batch {batch_id!r} is {found.state.value} already.", hint="Read its files.")
            change = entering(row, BatchState.CANCELLING, self._clock())
            await connection.execute(sa.update(batch).where(batch.c.id == batch_id).values(**change))
            return await _own(connection, principal, batch_id)

    async def prune(self) -> int:
        """Remove batches that ended long ago, with their lines; how many that were."""
        limit = self._clock() - timedelta(days=self._settings.keep_days)
        ended = sa.and_(batch.c.created_at < limit, batch.c.state.not_in(OPEN_STATES))
        async with writing(self._engine) as connection:
            return (await connection.execute(sa.delete(batch).where(ended))).rowcount


async def _own(connection: AsyncConnection, principal: Principal, batch_id: str) -> Batch:
    return batch_of(await _own_row(connection, principal, batch_id))


async def _own_row(
    connection: AsyncConnection, principal: Principal, batch_id: str, *, lock: bool = False
) -> sa.RowMapping:
    query = sa.select(batch).where(*owned(principal), batch.c.id == batch_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).mappings().first()
    if row is None:
        raise NotFound(f"There is no batch {batch_id!r}.", hint="List yours with GET /v1/batches.", param="batch_id")
    return row
