"""The agents on the real bus with a real server process: what is stopped here is stopped there."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import toolbus.kernel  # noqa: F401 - heavy to import: not on the clock of the first test
from agents.contracts import Plan, Step
from agents.settings import AgentsSettings
from policies.engine import Effect, Rule
from tests.agents.conftest import House
from tests.agents.scripted import ADA, Script, ask, call, collect
from tests.toolbus.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(30)]  # a server process starts here

READABLE = ("probe__add", "probe__slow", "probe__die_always")
READ = Rule(id="probe.read", tools=READABLE, effect=Effect.PERMIT, reason="Reading is free.")
WRITE = Rule(id="probe.slow", tools=("probe__slow_write",), effect=Effect.PERMIT, reason="Slow writing is free.")
ASK = Rule(id="probe.ask", tools=("probe__write",), effect=Effect.ASK, reason="Writing needs a person.")
PLAN = Plan(steps=[Step(id="s1", specialist="data", task="Do it.", timeout_s=5)])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    world = World(tmp_path_factory.mktemp("agents"))
    async with world.open(rules=(READ, WRITE, ASK)):
        yield world


def at_home(world: World, script: Script, **limits: Any) -> House:
    entry = {"module": "agents.specialists.data", "tools": ["probe__*"], **limits}
    return House(script, world.bus, AgentsSettings.model_validate({"specialists": {"data": entry}}))


def script(tool: str, answer: Any = "Done.", **arguments: Any) -> Script:
    def say(seen):
        if seen.role == "planner":
            return PLAN
        if not seen.results:
            return [call(tool, **arguments)]
        return answer(seen) if callable(answer) else answer

    return say


async def up(world: World) -> None:
    """Return once the server is there again after what an earlier test did to it: its start takes a second or more."""
    async with asyncio.timeout(20):
        while (await world.bus.health())["probe"] != "up":
            await asyncio.sleep(0.01)


async def test_a_result_without_evidence_is_cited_by_the_reference_that_the_model_was_told(world):
    def cites(seen):
        return f"It is 3 [#{seen.results[0].rsplit('[#', 1)[1][:8]}]."

    home = at_home(world, script("probe__add", cites, a=1, b=2))
    events = await collect(home.turns.run(ask("1 + 2?")))
    result = events[-1].result
    assert result.text == "It is 3 [1]."
    assert [(source.document, source.quote) for source in result.sources] == [("probe__add", '{"total": 3}')]
    assert [event.type for event in events if event.type.startswith("tool")] == ["tool.called", "tool.finished"]


async def test_closing_the_stream_cancels_the_call_in_the_servers_process(world):
    world.log.write_text("")
    home = at_home(world, script("probe__slow", seconds=60))
    stream = home.turns.run(ask("Go"))
    async for event in stream:
        if event.type == "tool.called":
            await world.until_noted("slow start")
            break
    started = time.monotonic()
    await stream.aclose()
    assert time.monotonic() - started < 1
    await world.until_noted("slow cancelled CancelledError")
    assert "slow done" not in world.noted()
    assert home.conversations.of(ADA)[-1].result.cancelled


async def test_a_step_that_is_too_slow_is_cancelled_in_the_servers_process(world):
    world.log.write_text("")
    home = at_home(world, script("probe__slow", seconds=60), timeout_s=1.5)
    events = await collect(home.turns.run(ask("Go")))
    assert events[-1].result.text == "I could not answer this. The data specialist did not answer within 1.5 s."
    await world.until_noted("slow cancelled CancelledError")


async def test_what_waits_for_approval_is_never_said_to_be_done(world):
    home = at_home(world, script("probe__write", "I wrote it.", text="hello"))
    events = await collect(home.turns.run(ask("Write hello")))
    result = events[-1].result
    assert [event.type for event in events].count("approval.requested") == 1
    assert [approval.arguments for approval in result.approvals] == [{"text": "hello"}]
    assert result.text.startswith("Nothing has been done yet. This waits for approval:\n- ")
    assert "I wrote it" not in result.text
    assert result.steps[0].status == "awaiting_approval"


async def test_the_audit_says_for_whom_and_through_whom_a_call_was_made(world):
    home = at_home(world, script("probe__add", a=20, b=22))
    request = ask("Go")
    await collect(home.turns.run(request))
    await world.until(lambda: request.run_id in world.audit_path.read_text())
    (line,) = [line for line in world.audit_path.read_text().splitlines() if request.run_id in line]
    for part in ('"orchestrator"', '"data"', ADA.user):
        assert part in line


async def test_a_server_that_dies_is_a_reason_in_the_answer(world):
    home = at_home(world, script("probe__die_always", "It said nothing."))
    events = await collect(home.turns.run(ask("Go")))
    result = events[-1].result
    assert result.steps[0].status == "failed"
    assert result.text.startswith("I could not answer this. The data specialist could not do its part:")


async def test_a_step_that_runs_out_of_time_while_it_changes_something_says_that_the_outcome_is_unknown(world):
    await up(world)
    home = at_home(world, script("probe__slow_write", text="x"), timeout_s=0.3)
    events = await collect(home.turns.run(ask("Write it")))
    assert events[-1].result.text == (
        "I could not answer this. The data specialist did not answer within 0.3 s; "
        "whether probe__slow_write took effect is unknown."
    )


async def test_a_person_who_takes_longer_than_step_and_run_may_take_still_decides(world):
    """A call that waits ends its step: while somebody decides, no clock of the run counts."""
    await up(world)
    world.log.write_text("")
    home = at_home(world, script("probe__write", text="late"), timeout_s=1)
    events = await collect(home.turns.run(ask("Write late")))
    (approval,) = events[-1].result.approvals
    context, tool, arguments, _ = world.desk.proposed[approval.id]
    await asyncio.sleep(max(0.0, context.budget.deadline - time.monotonic()) + 0.01)
    assert context.budget.spent() == "time"
    world.log.write_text("")  # this server knows no dry run: its preview was noted, too
    decided = world.context(run_id=context.run_id, chain=context.chain)
    outcome = await world.bus.call_approved(decided, tool.name, arguments, approval.id)
    assert outcome.status == "ok"
    assert world.noted() == ["write late"]
