"""Actions that wait for a person: proposed, decided once, carried out at most once, whatever crashes meanwhile.

pending ──approve──► approved ──► executing ──► done | failed
   ├──deny────► denied
   └──time────► expired

An approval is bound to one exact call (tool, canonical arguments, user, tenant, conversation): its hash is checked
again before the call. The call carries the approval's id as idempotency key, so one that was interrupted in
`executing` is simply made again at the next start.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

import sqlalchemy as sa
import structlog
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from runs.events import ApprovalView
from runs.ids import new_approval_id
from runs.settings import RunsSettings
from runs.tables import approval as table
from signalbox.database import reading, writing
from signalbox.errors import Conflict, NotFound, SignalboxError, ToolFault, UpstreamDown, UserFault
from signalbox.identity import Chain, Principal

ApprovalState = Literal["pending", "approved", "executing", "done", "failed", "denied", "expired"]
APPROVE_SCOPE = "approve"
_log = structlog.get_logger(__name__)


class Approval(BaseModel):
    """One proposed call and what became of it."""

    model_config = ConfigDict(frozen=True)

    id: str
    tenant: str
    user: str
    conversation_id: str
    run_id: str
    step_id: str
    tool: str
    pin: str
    arguments: dict[str, Any]
    binding: str
    preview: str
    chain: Chain
    state: ApprovalState
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""
    reason: str = ""
    outcome: str = ""

    def view(self) -> ApprovalView:
        """What a person sees before deciding."""
        return ApprovalView(
            id=self.id,
            tool=self.tool,
            preview=self.preview,
            arguments=self.arguments,
            reason=self.reason,
            expires_at=self.expires_at.isoformat(),
        )


@dataclass(frozen=True)
class Executed:
    """How an approved call went; `text` is fit to show: it has passed the reviewer."""

    ok: bool
    text: str


Execute = Callable[[Approval], Awaitable[Executed]]
"""Makes the call of an approval, with the approval's id as idempotency key."""

Announce = Callable[[Approval], Awaitable[None]]
"""Told once when an approval has come to its end, to add the outcome to the conversation."""


class _Call(Protocol):
    """What `toolbus.contracts.CallContext` is to this module."""

    @property
    def chain(self) -> Chain: ...
    @property
    def run_id(self) -> str: ...
    @property
    def step_id(self) -> str: ...
    @property
    def conversation_id(self) -> str: ...


class _Tool(Protocol):
    """What `toolbus.contracts.ToolSpec` is to this module."""

    @property
    def name(self) -> str: ...
    @property
    def pin(self) -> str: ...


class Approvals:
    """The desk where calls wait; satisfies `toolbus.contracts.ApprovalDesk`."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: RunsSettings,
        *,
        execute: Execute | None = None,
        announce: Announce | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._execute = execute
        self._announce = announce
        self._working: set[asyncio.Task[Approval]] = set()

    def connect(self, execute: Execute, announce: Announce | None = None) -> None:
        """Hand over who carries out and who tells; the bus needs this desk before it can be handed over itself."""
        self._execute = execute
        self._announce = announce

    async def propose(self, context: _Call, tool: _Tool, arguments: dict[str, Any], preview: str) -> ApprovalView:
        """Store the exact call; the same call while it is pending is the same approval."""
        person = context.chain.principal
        now = datetime.now(UTC)
        row: dict[str, Any] = {
            "id": new_approval_id(),
            "tenant": person.tenant,
            "user": person.user,
            "conversation_id": context.conversation_id,
            "run_id": context.run_id,
            "step_id": context.step_id,
            "tool": tool.name,
            "pin": tool.pin,
            "arguments": canonical_json(arguments),
            "binding": binding_of(tool.name, arguments, person, context.conversation_id),
            "preview": _storable(preview),
            "chain": context.chain.model_dump_json(),
            "state": "pending",
            "created_at": now,
            "expires_at": now + timedelta(seconds=self._settings.approval_ttl_s),
        }
        outdated = sa.update(table).where(
            table.c.tenant == person.tenant,
            table.c.binding == row["binding"],
            table.c.state == "pending",
            table.c.expires_at <= now,
        )
        try:
            async with writing(self._engine) as connection:
                await connection.execute(outdated.values(state="expired"))
                await connection.execute(sa.insert(table), row)
        except IntegrityError:
            return await self._pending(person.tenant, row["binding"])
        _log.info("approval.proposed", approval=row["id"], tool=tool.name, run_id=context.run_id)
        return _approval(row).view()

    async def get(self, principal: Principal, approval_id: str) -> Approval:
        """One approval, for who asked for it or may approve in the tenant; anyone else's is not found."""
        async with reading(self._engine) as connection:
            rows = await connection.execute(sa.select(table).where(*_visible(principal, approval_id)))
            row = rows.mappings().first()
        if row is None:
            raise NotFound(f"There is no approval {approval_id!r}.", hint="List yours with GET /v1/approvals.")
        return _approval(row)

    async def list(
        self, principal: Principal, *, state: ApprovalState | None = None, limit: int = 50
    ) -> Sequence[Approval]:
        """Approvals that the principal asked for or may decide, latest first."""
        query = (
            sa.select(table).where(*_visible(principal)).order_by(table.c.created_at.desc(), table.c.id).limit(limit)
        )
        if state is not None:
            query = query.where(_in_state(state))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_approval(row) for row in rows]

    async def decide(self, principal: Principal, approval_id: str, *, approve: bool, reason: str = "") -> Approval:
        """Decide once and, when approved, carry it out; raises `Conflict` when it is no longer pending.

        Deciding and carrying out go on when the caller goes away; the approval then has the outcome.
        """
        current = await self.get(principal, approval_id)
        change = {
            "state": "approved" if approve else "denied",
            "decided_at": datetime.now(UTC),
            "decided_by": principal.user,
            "reason": _storable(reason),
        }
        # One task from the decision on: a caller that leaves between its commit and its effect must not part them.
        return await asyncio.shield(self._begin(current, self._settle(principal, approval_id, change)))

    async def _settle(self, principal: Principal, approval_id: str, change: Mapping[str, Any]) -> Approval:
        if not await self._move(approval_id, ("pending",), change):
            current = await self.get(principal, approval_id)
            raise Conflict(
                f"Approval {approval_id!r} is {current.state} and can no longer be decided.",
                hint="Ask again to have the action proposed anew." if current.state == "expired" else "",
            )
        _log.info("approval.decided", approval=approval_id, approve=change["state"] == "approved", by=principal.user)
        decided = await self._row(approval_id)
        if decided.state == "approved":
            return await self._carry_out(decided)
        await self._tell(decided)
        return decided

    async def resume(self) -> int:
        """Begin to carry out what was approved and not finished when the process ended; how many that are."""
        query = sa.select(table).where(table.c.state.in_(("approved", "executing"))).order_by(table.c.decided_at)
        async with reading(self._engine) as connection:
            waiting = [_approval(row) for row in (await connection.execute(query)).mappings().all()]
        for approval in waiting:
            _log.info("approval.resumed", approval=approval.id, state=approval.state)
            self._begin(approval, self._carry_out(approval))
        return len(waiting)

    async def close(self, *, grace_s: float = 5) -> None:
        """Give calls in flight a little time; what is interrupted is resumed at the next start."""
        if not self._working:
            return
        _done, unfinished = await asyncio.wait(self._working, timeout=grace_s)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished, timeout=1)

    def _begin(self, approval: Approval, work: Coroutine[Any, Any, Approval]) -> asyncio.Task[Approval]:
        task = asyncio.create_task(work, name=f"approval {approval.id}")
        self._working.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Approval]) -> None:
        self._working.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, SignalboxError):  # the database: resumed at the next start
            _log.error("approval.interrupted", task=task.get_name(), error=type(error).__name__)

    async def _carry_out(self, approval: Approval) -> Approval:
        if not await self._move(approval.id, ("approved", "executing"), {"state": "executing"}):
            return await self._row(approval.id)
        executed = await self._call(approval)
        state = "done" if executed.ok else "failed"
        await self._move(
            approval.id, ("executing",), {"state": state, "outcome": executed.text.replace("\x00", "\ufffd")}
        )
        _log.info("approval.executed", approval=approval.id, tool=approval.tool, state=state)
        finished = await self._row(approval.id)
        await self._tell(finished)
        return finished

    async def _call(self, approval: Approval) -> Executed:
        person = approval.chain.principal
        if binding_of(approval.tool, approval.arguments, person, approval.conversation_id) != approval.binding:
            return Executed(ok=False, text="The stored call is not the one that was approved. Nothing was done.")
        if self._execute is None:
            return Executed(ok=False, text="Nothing here can carry out actions. Nothing was done.")
        attempt = 0
        while True:
            attempt += 1
            try:
                async with asyncio.timeout(self._settings.approval_timeout_s):
                    return await self._execute(approval)
            except (UpstreamDown, ToolFault, TimeoutError) as error:
                final = attempt >= self._settings.approval_attempts or (
                    isinstance(error, ToolFault) and not error.retryable
                )
                if final:
                    return Executed(ok=False, text=str(error) or "The tool did not answer in time; check its effect.")
                await asyncio.sleep(0.2 * 2**attempt)
            except SignalboxError as error:
                return Executed(ok=False, text=str(error))
            except Exception:  # noqa: BLE001 - the root of an execution
                _log.exception("approval.crashed", approval=approval.id)
                return Executed(ok=False, text="Something went wrong on our side; check the effect.")

    async def _tell(self, approval: Approval) -> None:
        if self._announce is None:
            return
        try:
            await self._announce(approval)
        except (SignalboxError, SQLAlchemyError) as error:  # gone, or not to be reached: the outcome stays here
            _log.warning("approval.not_announced", approval=approval.id, error=type(error).__name__)

    async def _move(self, approval_id: str, states: Sequence[str], change: Mapping[str, Any]) -> bool:
        query = sa.update(table).where(table.c.id == approval_id, table.c.state.in_(states)).values(**change)
        if "pending" in states:
            query = query.where(table.c.expires_at > datetime.now(UTC))
        async with writing(self._engine) as connection:
            return (await connection.execute(query)).rowcount == 1

    async def _row(self, approval_id: str) -> Approval:
        async with reading(self._engine) as connection:
            rows = await connection.execute(sa.select(table).where(table.c.id == approval_id))
            return _approval(rows.mappings().one())

    async def _pending(self, tenant: str, binding: str) -> ApprovalView:
        query = sa.select(table).where(table.c.tenant == tenant, table.c.binding == binding, table.c.state == "pending")
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise Conflict("This action was just decided.", hint="Ask again if it is still wanted.")
        return _approval(row).view()


def canonical_json(value: Mapping[str, Any]) -> str:
    """One text for equal arguments: sorted keys, no spaces, ASCII; raises `UserFault` for what JSON cannot say."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserFault(f"The arguments cannot be written as JSON: {error}.") from error


def binding_of(tool: str, arguments: Mapping[str, Any], person: Principal, conversation_id: str) -> str:
    """The hash that an approval stands for: this call, by this person, in this conversation."""
    bound = [tool, canonical_json(arguments), person.user, person.tenant, conversation_id]
    return hashlib.sha256(json.dumps(bound).encode()).hexdigest()


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd")  # PostgreSQL keeps no NUL


def _visible(principal: Principal, approval_id: str | None = None) -> Sequence[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [table.c.tenant == principal.tenant]
    if APPROVE_SCOPE not in principal.scopes:
        conditions.append(table.c.user == principal.user)
    if approval_id is not None:
        conditions.append(table.c.id == approval_id)
    return conditions


def _in_state(state: ApprovalState) -> sa.ColumnElement[bool]:
    """Time alone makes a pending approval expired; its row learns of it when the call is proposed anew."""
    now = datetime.now(UTC)
    if state == "pending":
        return sa.and_(table.c.state == "pending", table.c.expires_at > now)
    if state == "expired":
        late = sa.and_(table.c.state == "pending", table.c.expires_at <= now)
        return sa.or_(table.c.state == "expired", late)
    return table.c.state == state


def _approval(row: Mapping[Any, Any]) -> Approval:
    values = dict(row)
    values["arguments"] = json.loads(values["arguments"])
    values["chain"] = Chain.model_validate_json(values["chain"])
    for name in ("created_at", "expires_at", "decided_at"):
        at = values.get(name)
        if at is not None and at.tzinfo is None:  # SQLite forgets the zone; we write UTC only
            values[name] = at.replace(tzinfo=UTC)
    if values["state"] == "pending" and values["expires_at"] <= datetime.now(UTC):
        values["state"] = "expired"
    return Approval.model_validate(values)
