"""Files of people, kept in parts in the database: what one replica took in, every other can read.

Everything is scoped by tenant and user: another's file is not found.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inference.batch.contracts import FilePurpose, StoredFile
from inference.batch.ids import new_file_id
from inference.batch.settings import BatchSettings
from inference.batch.tables import batch_file, batch_file_part
from inference.batch.times import utc
from signalbox.database import reading, writing
from signalbox.errors import BudgetSpent, NotFound, TooLarge
from signalbox.identity import Principal

_PARTS_AT_ONCE = 64
_INCOMPLETE = -1
"""The size of a file that is still being taken in; nobody sees it."""


class FileStore:
    """Takes in, lists, reads and removes files."""

    def __init__(self, engine: AsyncEngine, settings: BatchSettings) -> None:
        self._engine = engine
        self._settings = settings

    async def add(self, principal: Principal, filename: str, parts: AsyncIterator[bytes]) -> StoredFile:
        """Take in an upload; raises `TooLarge` or `BudgetSpent`, and then keeps nothing of it."""
        async with reading(self._engine) as connection:
            used = await _used(connection, principal)
        now = datetime.now(UTC)
        row = _row(principal, new_file_id(), filename, "batch", now, self._settings.keep_days)
        async with writing(self._engine) as connection:
            await connection.execute(sa.insert(batch_file), {**row, "bytes": _INCOMPLETE})
        size = position = 0
        try:
            async for data in parts:
                size += len(data)
                self._check_room(size, used)
                async with writing(self._engine) as connection:  # short ones: others write meanwhile
                    part = {"file_id": row["id"], "position": position, "data": data}
                    await connection.execute(sa.insert(batch_file_part), part)
                position += 1
            async with writing(self._engine) as connection:
                # Others of the same person may have come in meanwhile; on PostgreSQL the rows' locks make them queue.
                theirs = sa.select(batch_file.c.id).where(*_owned(principal)).order_by(batch_file.c.id)
                await connection.execute(theirs.with_for_update())
                self._check_room(size, await _used(connection, principal))
                await connection.execute(_the(row["id"], sa.update(batch_file)).values(bytes=size))
        except BaseException:
            async with writing(self._engine) as connection:
                await _remove(connection, row["id"])
            raise
        return _file({**row, "bytes": size})

    async def get(self, principal: Principal, file_id: str) -> StoredFile:
        """One file; raises `NotFound`."""
        async with reading(self._engine) as connection:
            return await self._own(connection, principal, file_id)

    async def list(
        self, principal: Principal, *, limit: int, after: str | None = None, purpose: FilePurpose | None = None
    ) -> list[StoredFile]:
        """The principal's files, latest first."""
        query = sa.select(batch_file).where(*_owned(principal), batch_file.c.bytes > _INCOMPLETE)
        if purpose is not None:
            query = query.where(batch_file.c.purpose == purpose)
        async with reading(self._engine) as connection:
            if after is not None:
                last = await self._own(connection, principal, after)
                position = sa.tuple_(batch_file.c.created_at, batch_file.c.id)
                query = query.where(position < sa.tuple_(sa.literal(last.created_at), sa.literal(last.id)))
            query = query.order_by(batch_file.c.created_at.desc(), batch_file.c.id.desc()).limit(limit)
            return [_file(row) for row in (await connection.execute(query)).mappings().all()]

    async def read(self, principal: Principal, file_id: str) -> AsyncGenerator[bytes, None]:
        """The content from its beginning; of a result file, what there is by now."""
        await self.get(principal, file_id)
        return _parts(self._engine, file_id)

    async def delete(self, principal: Principal, file_id: str) -> None:
        """Remove a file; a batch that has read its lines already goes on."""
        async with writing(self._engine) as connection:
            await self._own(connection, principal, file_id)
            await _remove(connection, file_id)

    async def prune(self) -> int:
        """Remove files whose time is over, and uploads that a crash cut off; how many that were."""
        now = datetime.now(UTC)
        stale = sa.and_(batch_file.c.bytes == _INCOMPLETE, batch_file.c.created_at < now - timedelta(days=1))
        query = sa.select(batch_file.c.id).where(sa.or_(batch_file.c.expires_at < now, stale))
        async with reading(self._engine) as connection:
            ids = list((await connection.execute(query)).scalars())
        for file_id in ids:
            async with writing(self._engine) as connection:
                await _remove(connection, file_id)
        return len(ids)

    async def _own(self, connection: AsyncConnection, principal: Principal, file_id: str) -> StoredFile:
        query = sa.select(batch_file).where(*_owned(principal), batch_file.c.id == file_id)
        row = (await connection.execute(query)).mappings().first()
        if row is None or row["bytes"] == _INCOMPLETE:
            raise NotFound(f"There is no file {file_id!r}.", hint="List yours with GET /v1/files.", param="file_id")
        return _file(row)

    def _check_room(self, size: int, used: int) -> None:
        if size > self._settings.max_file_bytes:
            raise TooLarge(
                f"A file takes at most {self._settings.max_file_bytes} bytes.",
                hint="Send it in parts, as several batches.",
                param="file",
            )
        if used + size > self._settings.max_user_bytes:
            raise BudgetSpent(
                f"Your files would take more than {self._settings.max_user_bytes} bytes.",
                hint="Delete files that you no longer need.",
            )


def result_file(principal: Principal, file_id: str, filename: str, keep_days: int) -> dict[str, Any]:
    """The row of a new, empty result file."""
    return _row(principal, file_id, filename, "batch_output", datetime.now(UTC), keep_days)


async def _parts(engine: AsyncEngine, file_id: str) -> AsyncGenerator[bytes, None]:
    last = -1
    while True:
        query = (
            sa.select(batch_file_part.c.position, batch_file_part.c.data)
            .where(batch_file_part.c.file_id == file_id, batch_file_part.c.position > last)
            .order_by(batch_file_part.c.position)
            .limit(_PARTS_AT_ONCE)
        )
        async with reading(engine) as connection:
            rows = (await connection.execute(query)).all()
        if not rows:
            return
        last = rows[-1].position
        for row in rows:
            yield row.data


async def _used(connection: AsyncConnection, principal: Principal) -> int:
    kept = sa.select(sa.func.sum(batch_file.c.bytes)).where(*_owned(principal), batch_file.c.bytes > _INCOMPLETE)
    return int((await connection.execute(kept)).scalar() or 0)


async def _remove(connection: AsyncConnection, file_id: str) -> None:
    await connection.execute(sa.delete(batch_file_part).where(batch_file_part.c.file_id == file_id))
    await connection.execute(sa.delete(batch_file).where(batch_file.c.id == file_id))


def _the(file_id: str, query: sa.Update) -> sa.Update:
    return query.where(batch_file.c.id == file_id)


def _owned(principal: Principal) -> tuple[sa.ColumnElement[bool], ...]:
    return batch_file.c.tenant == principal.tenant, batch_file.c.user == principal.user


def _row(
    principal: Principal, file_id: str, filename: str, purpose: FilePurpose, now: datetime, keep_days: int
) -> dict[str, Any]:
    return {
        "id": file_id,
        "tenant": principal.tenant,
        "user": principal.user,
        "filename": filename,
        "purpose": purpose,
        "bytes": 0,
        "created_at": now,
        "expires_at": now + timedelta(days=keep_days),
    }


def _file(row: Mapping[Any, Any]) -> StoredFile:
    values = {name: row[name] for name in ("id", "filename", "purpose", "bytes")}
    return StoredFile(**values, created_at=utc(row["created_at"]), expires_at=utc(row["expires_at"]))
