"""Undoing an action of one's own, as long as nothing else has happened to its object since."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mcp_servers.desk.effects import Asker, Done, now, perform
from mcp_servers.desk.models import Change, Receipt
from mcp_servers.desk.tables import comments, effects, tickets
from signalbox.errors import Conflict, NotFound, UserFault


class Undo:
    """Reverses what a receipt stands for."""

    def __init__(self, engine: AsyncEngine, *, within_h: float) -> None:
        self._engine = engine
        self._within = timedelta(hours=within_h)

    async def undo(self, asker: Asker, receipt_id: str) -> Receipt:
        """The action's own fields as they were; raises `Conflict` when the object changed since."""

        async def work(connection: AsyncConnection, undo_id: str) -> Done:
            row = await self._effect(connection, asker, receipt_id)
            done = Receipt.model_validate_json(row.receipt)
            if row.undone_by is not None:
                return Done(Receipt(summary=f"Already undone: {done.summary}", status="unchanged"))
            if row.inverse is None:
                raise UserFault(
                    f"This cannot be undone: {done.summary}", hint="Only ticket actions can.", param="receipt_id"
                )
            if datetime.now(UTC) - datetime.fromisoformat(row.created_at) > self._within:
                raise Conflict(f"Too late to undo: {done.summary}", hint="Make the opposite change instead.")
            changes = await _reverse(connection, asker.principal.tenant, json.loads(row.inverse), done)
            await connection.execute(
                effects.update().where(effects.c.receipt_id == receipt_id).values(undone_by=undo_id)
            )
            say = "Would undo" if asker.dry_run else "Undone"
            return Done(Receipt(summary=f"{say}: {done.summary}", status="undone", changes=changes))

        return await perform(self._engine, asker, "undo", {"receipt_id": receipt_id}, work)

    async def _effect(self, connection: AsyncConnection, asker: Asker, receipt_id: str) -> Any:
        query = sa.select(effects).where(
            effects.c.receipt_id == receipt_id,
            effects.c.tenant == asker.principal.tenant,
            effects.c.user == asker.principal.user,
        )
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound(
                f"There is no receipt {receipt_id[:40]!r} of yours.", hint="Pass receipt_id of an earlier action."
            )
        return row


async def _reverse(connection: AsyncConnection, tenant: str, inverse: Mapping[str, Any], done: Receipt) -> list[Change]:
    remark = inverse["id"] if inverse["kind"] == "comment" else inverse.get("comment")
    if remark is not None:
        gone = await connection.execute(comments.delete().where(comments.c.tenant == tenant, comments.c.id == remark))
        if gone.rowcount == 0:
            raise Conflict(f"The comment is gone: {done.summary}")
    if inverse["kind"] == "comment":
        return [Change(field="comment", before=done.comment.body if done.comment else None, after=None)]
    here = sa.and_(tickets.c.tenant == tenant, tickets.c.number == inverse["number"])
    current = (await connection.execute(sa.select(tickets).where(here))).one()
    if current.version != inverse["version"]:
        raise Conflict(
            f"T-{inverse['number']} was changed since: {done.summary}",
            hint="Look at it with get_ticket, then change it.",
        )
    values = dict(inverse["set"])
    await connection.execute(
        tickets.update().where(here).values(**values, version=current.version + 1, updated_at=now())
    )
    return [Change(field=key, before=current._mapping[key], after=value) for key, value in values.items()]
