"""An action and its receipt in one transaction: the same key has the same effect, once, whatever dies when."""

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mcp_servers.desk.models import Receipt
from mcp_servers.desk.tables import effects
from signalbox.errors import Conflict
from signalbox.identity import Principal


@dataclass(frozen=True)
class Asker:
    """Who wants an action, under which key, for real or as a preview."""

    principal: Principal
    idempotency_key: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Done:
    """What an action's work came to: its receipt, still without an id, and how it is reversed."""

    receipt: Receipt
    inverse: Mapping[str, Any] | None = None


Work = Callable[[AsyncConnection, str], Awaitable[Done]]


async def perform(engine: AsyncEngine, asker: Asker, tool: str, arguments: Mapping[str, Any], work: Work) -> Receipt:
    """Run `work` and record its receipt in the same transaction, or return the receipt that its key already has.

    A dry run executes the very same work and rolls it back. Raises `Conflict` when the key was used for another call.
    """
    fingerprint = _fingerprint(tool, arguments)
    try:
        return await _attempt(engine, asker, tool, fingerprint, work)
    except IntegrityError:
        # PostgreSQL: the same key committed meanwhile. SQLite's transactions are serial.
        if not asker.idempotency_key:
            raise
        return await _attempt(engine, asker, tool, fingerprint, work)


async def _attempt(engine: AsyncEngine, asker: Asker, tool: str, fingerprint: str, work: Work) -> Receipt:
    async with engine.connect() as connection, connection.begin() as transaction:
        earlier = await _earlier(connection, asker, tool, fingerprint)
        if earlier is not None:
            return earlier
        receipt_id = f"rcpt_{secrets.token_hex(12)}"
        done = await work(connection, receipt_id)
        if asker.dry_run:
            await transaction.rollback()
            return done.receipt.model_copy(update={"status": "preview", "receipt_id": "", "undoable": False})
        receipt = done.receipt.model_copy(update={"receipt_id": receipt_id, "undoable": done.inverse is not None})
        await connection.execute(
            effects.insert().values(
                receipt_id=receipt_id,
                tenant=asker.principal.tenant,
                user=asker.principal.user,
                idempotency_key=asker.idempotency_key or None,
                tool=tool,
                fingerprint=fingerprint,
                receipt=receipt.model_dump_json(),
                inverse=None if done.inverse is None else json.dumps(done.inverse),
                created_at=now(),
            )
        )
        return receipt


async def _earlier(connection: AsyncConnection, asker: Asker, tool: str, fingerprint: str) -> Receipt | None:
    if not asker.idempotency_key:
        return None
    found = await connection.execute(
        sa.select(effects.c.fingerprint, effects.c.receipt).where(
            effects.c.tenant == asker.principal.tenant,
            effects.c.user == asker.principal.user,
            effects.c.idempotency_key == asker.idempotency_key,
        )
    )
    row = found.one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise Conflict(
            f"The idempotency key of this {tool!r} call was already used for another call.", hint="Use a new key."
        )
    return Receipt.model_validate_json(row.receipt)


def now() -> str:
    """The time as the desk writes it; fine enough that two comments of one second keep their order."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _fingerprint(tool: str, arguments: Mapping[str, Any]) -> str:
    canonical = json.dumps([tool, arguments], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
