"""Approvals: bound to one call, decided once, carried out once, whatever crashes."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from runs.approvals import Approval, Approvals, Executed, binding_of, canonical_json
from runs.settings import RunsSettings
from runs.tables import approval as table
from signalbox.errors import Conflict, NotFound, ToolFault, UpstreamDown, UserFault
from signalbox.identity import Chain, Principal
from tests.runs.database import fresh_engine
from toolbus.contracts import ApprovalDesk, Budget, CallContext, ToolSpec

ADA = Principal(user="ada", groups=frozenset({"staff"}))
BRUNO = Principal(user="bruno")
CHIEF = Principal(user="chief", scopes=frozenset({"approve"}))
CHIEF_ELSEWHERE = Principal(user="chief", tenant="other", scopes=frozenset({"approve"}))
SETTINGS = RunsSettings(approval_timeout_s=1)
TOOL = ToolSpec(name="desk__create", server="desk", tool="create", description="", input_schema={}, pin="p1")


async def _ignore(_event: object) -> None: ...


def context(principal: Principal = ADA, conversation_id: str = "conv_1") -> CallContext:
    return CallContext(
        chain=Chain(principal=principal, actors=("planner", "actions")),
        run_id="run_1",
        step_id="s1",
        conversation_id=conversation_id,
        budget=Budget(tool_calls=1, tokens=1, deadline=0),
        emit=_ignore,
    )


@dataclass
class World:
    """Where effects happen, once for each idempotency key, as servers of ours promise."""

    effects: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    hang: bool = False

    async def execute(self, approval: Approval) -> Executed:
        self.calls.append(approval.id)
        self.effects.setdefault(approval.id, approval.arguments)
        if self.hang:
            await asyncio.sleep(3600)
        if self.faults:
            raise self.faults.pop(0)
        return Executed(ok=True, text="made")

    async def announce(self, approval: Approval) -> None:
        self.told.append((approval.id, approval.state))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def desk(engine: AsyncEngine, world: World) -> Approvals:
    return Approvals(engine, SETTINGS, execute=world.execute, announce=world.announce)


async def test_it_is_the_desk_that_the_tool_bus_knows(desk: Approvals):
    as_protocol: ApprovalDesk = desk
    view = await as_protocol.propose(context(), TOOL, {"title": "x"}, "Create a ticket")
    assert (view.tool, view.arguments, view.preview) == ("desk__create", {"title": "x"}, "Create a ticket")
    assert view.id.startswith("appr_")
    assert view.expires_at


async def test_the_same_call_again_is_the_same_approval(desk: Approvals):
    views = await asyncio.gather(
        *(desk.propose(context(), TOOL, arguments, "p") for arguments in [{"a": 1, "b": 2}, {"b": 2, "a": 1}] * 5)
    )
    assert len({view.id for view in views}) == 1
    others = [
        await desk.propose(context(), TOOL, {"a": 1, "b": 3}, "p"),
        await desk.propose(context(BRUNO), TOOL, {"a": 1, "b": 2}, "p"),
        await desk.propose(context(conversation_id="conv_2"), TOOL, {"a": 1, "b": 2}, "p"),
        await desk.propose(context(), TOOL.model_copy(update={"name": "desk__delete"}), {"a": 1, "b": 2}, "p"),
    ]
    assert len({view.id for view in [*views, *others]}) == 5


async def test_once_decided_the_same_call_is_a_new_approval(desk: Approvals, world: World):
    first = await desk.propose(context(), TOOL, {}, "p")
    assert (await desk.decide(ADA, first.id, approve=True)).state == "done"
    second = await desk.propose(context(), TOOL, {}, "p")
    assert second.id != first.id
    assert world.told == [(first.id, "done")]


async def test_of_many_decisions_one_wins_and_the_call_is_made_once(desk: Approvals, world: World):
    view = await desk.propose(context(), TOOL, {}, "p")
    decisions = await asyncio.gather(
        *(desk.decide(person, view.id, approve=True) for person in (ADA, CHIEF) * 10), return_exceptions=True
    )
    assert sum(isinstance(decision, Approval) for decision in decisions) == 1
    assert sum(isinstance(decision, Conflict) for decision in decisions) == 19
    assert world.calls == [view.id]


async def test_only_who_asked_or_may_approve_in_the_tenant_decides(desk: Approvals, world: World):
    view = await desk.propose(context(), TOOL, {}, "p")
    for stranger in (BRUNO, CHIEF_ELSEWHERE):
        with pytest.raises(NotFound):
            await desk.decide(stranger, view.id, approve=True)
        assert await desk.list(stranger) == []
    assert [approval.id for approval in await desk.list(CHIEF, state="pending")] == [view.id]
    decided = await desk.decide(CHIEF, view.id, approve=False, reason="no budget")
    assert (decided.state, decided.decided_by, decided.reason) == ("denied", "chief", "no budget")
    assert world.calls == []
    assert world.told == [(view.id, "denied")]


async def test_a_decision_that_comes_too_late_changes_nothing(engine: AsyncEngine, world: World):
    desk = Approvals(engine, RunsSettings(approval_ttl_s=0.05), execute=world.execute)
    view = await desk.propose(context(), TOOL, {}, "p")
    await asyncio.sleep(0.06)
    with pytest.raises(Conflict, match="expired"):
        await desk.decide(ADA, view.id, approve=True)
    assert [found.state for found in await desk.list(ADA, state="expired")] == ["expired"]
    assert await desk.list(ADA, state="pending") == []
    assert world.calls == []
    again = await desk.propose(context(), TOOL, {}, "p")
    assert again.id != view.id


async def test_arguments_changed_in_the_database_are_never_executed(desk: Approvals, world: World, engine: AsyncEngine):
    view = await desk.propose(context(), TOOL, {"amount": 10}, "Pay 10")
    async with engine.begin() as connection:
        await connection.execute(sa.update(table).values(arguments='{"amount":10000}'))
    decided = await desk.decide(ADA, view.id, approve=True)
    assert decided.state == "failed"
    assert "Nothing was done" in decided.outcome
    assert world.calls == []


async def test_a_server_that_comes_back_is_asked_again_with_the_same_key(desk: Approvals, world: World):
    world.faults = [UpstreamDown("desk is down")]
    view = await desk.propose(context(), TOOL, {}, "p")
    assert (await desk.decide(ADA, view.id, approve=True)).state == "done"
    assert world.calls == [view.id, view.id]
    assert list(world.effects) == [view.id]


@pytest.mark.parametrize(
    ("faults", "calls", "outcome"),
    [
        ([ToolFault("no such queue")], 1, "no such queue"),
        ([ToolFault("busy", retryable=True)] * 9, 3, "busy"),
        ([UserFault("not like that")], 1, "not like that"),
        ([RuntimeError("secret")], 1, "Something went wrong on our side; check the effect."),
    ],
)
async def test_a_call_that_fails_is_failed_with_its_reason(desk: Approvals, world: World, faults, calls, outcome):
    world.faults = list(faults)
    view = await desk.propose(context(), TOOL, {}, "p")
    decided = await desk.decide(ADA, view.id, approve=True)
    assert (decided.state, decided.outcome) == ("failed", outcome)
    assert len(world.calls) == calls
    assert world.told == [(view.id, "failed")]


async def test_what_a_crash_interrupted_is_resumed_with_the_same_key(tmp_path: Path, world: World):
    engine = await fresh_engine(tmp_path)
    world.hang = True
    desk = Approvals(engine, RunsSettings(), execute=world.execute)
    view = await desk.propose(context(), TOOL, {"title": "x"}, "p")
    deciding = asyncio.create_task(desk.decide(ADA, view.id, approve=True))
    while not world.calls:
        await asyncio.sleep(0.005)
    deciding.cancel()  # the client leaves; the call goes on
    await asyncio.wait([deciding])
    assert (await desk.get(ADA, view.id)).state == "executing"
    await desk.close(grace_s=0)  # and then the process dies
    await engine.dispose()

    world.hang = False
    engine = await fresh_engine(tmp_path)
    restarted = Approvals(engine, RunsSettings(), execute=world.execute, announce=world.announce)
    assert await restarted.resume() == 1
    await restarted.close()
    assert (await restarted.get(ADA, view.id)).state == "done"
    assert world.effects == {view.id: {"title": "x"}}
    assert world.told == [(view.id, "done")]
    assert await restarted.resume() == 0
    await engine.dispose()


@pytest.mark.parametrize(("approve", "state"), [(True, "done"), (False, "denied")])
async def test_who_leaves_while_the_decision_is_written_leaves_nothing_half_done(
    desk: Approvals, world: World, engine: AsyncEngine, approve: bool, state: str
):
    view = await desk.propose(context(), TOOL, {"title": "x"}, "p")
    deciding = asyncio.create_task(desk.decide(ADA, view.id, approve=approve))

    def leave(_connection: object) -> None:
        deciding.cancel()

    event.listen(engine.sync_engine, "commit", leave)
    await asyncio.wait([deciding])
    event.remove(engine.sync_engine, "commit", leave)
    await desk.close()
    assert deciding.cancelled()
    assert (await desk.get(ADA, view.id)).state == state
    assert world.told == [(view.id, state)]
    assert world.calls == ([view.id] if approve else [])


async def test_an_action_that_cannot_be_told_in_its_conversation_is_done_nevertheless(
    engine: AsyncEngine, world: World
):
    async def announce(_approval: Approval) -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("database is locked"))

    desk = Approvals(engine, SETTINGS, execute=world.execute, announce=announce)
    for approve, state in ((True, "done"), (False, "denied")):
        view = await desk.propose(context(), TOOL, {"approve": approve}, "p")
        assert (await desk.decide(ADA, view.id, approve=approve)).state == state


async def test_pending_approvals_survive_a_restart(desk: Approvals, engine: AsyncEngine, world: World):
    view = await desk.propose(context(), TOOL, {}, "p")
    restarted = Approvals(engine, SETTINGS, execute=world.execute)
    assert (await restarted.propose(context(), TOOL, {}, "p")).id == view.id
    assert (await restarted.decide(ADA, view.id, approve=True)).state == "done"


ARGUMENTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@given(first=ARGUMENTS, second=ARGUMENTS)
def test_the_binding_tells_any_two_calls_apart(first, second):
    same = canonical_json(first) == canonical_json(second)
    assert (binding_of("t", first, ADA, "c") == binding_of("t", second, ADA, "c")) is same
    reordered = dict(reversed(first.items()))
    assert binding_of("t", reordered, ADA, "c") == binding_of("t", first, ADA, "c")


@given(
    parts=st.tuples(st.text(), st.text(), st.text(), st.text()),
    other=st.tuples(st.text(), st.text(), st.text(), st.text()),
)
def test_no_shift_between_fields_gives_the_same_binding(parts, other):
    bindings = {
        binding_of(tool, {}, Principal(user=user, tenant=tenant), conversation)
        for tool, user, tenant, conversation in (parts, other)
    }
    assert (len(bindings) == 1) is (parts == other)


@pytest.mark.parametrize("arguments", [{"a": float("nan")}, {"a": object()}, {"a": float("inf")}])
def test_arguments_that_json_cannot_say_are_refused(arguments):
    with pytest.raises(UserFault):
        canonical_json(arguments)
