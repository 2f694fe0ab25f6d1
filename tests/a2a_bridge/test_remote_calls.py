"""Other agents on the tool bus: the same server stands in for another organisation's."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from autogen_core import CancellationToken

import toolbus.kernel  # noqa: F401 - heavy to import: not on the clock of the first test
from runs.approvals import Approvals
from runs.settings import RunsSettings
from runs.tables import approval
from signalbox.wiring.actions import ApprovedActions
from tests.a2a_bridge.calls import ASK, FORBIDDEN, FREELY, GENERAL, Partnership, partners
from tests.a2a_bridge.conftest import Served
from tests.agents.scripted import ADA
from tests.runs.database import fresh_engine
from tests.toolbus.world import World

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_call_is_decided_by_policy_and_recorded(world: World, served: Served) -> None:
    async with partners(world, served.url) as partner:
        outcome = await partner.ask("how many")
        started, ended = await partner.until_audited(2)
    assert (outcome.status, outcome.text) == ("ok", "Two days. Ask your manager.")
    assert (started["outcome"], ended["outcome"]) == ("started", "ok")
    told = {name: ended[name] for name in ("tool", "user", "effect", "rules", "arguments", "run", "step")}
    assert told == {
        "tool": ASK,
        "user": "ada",
        "effect": "permit",
        "rules": ["partner.ask"],
        "arguments": {"task": "how many"},
        "run": "run_1",
        "step": "s1",
    }


@pytest.mark.parametrize("rules", [(), (FORBIDDEN,), (GENERAL, FORBIDDEN)], ids=["no rule", "forbid", "both"])
async def test_an_agent_that_is_denied_is_never_contacted(world: World, served: Served, rules: tuple) -> None:
    async with partners(world, served.url, rules) as partner:
        assert await partner.offered() == []
        outcome = await partner.ask("how many")
        (record,) = await partner.until_audited(1)
    assert outcome.status == "denied"
    assert outcome.text.startswith("'partner__ask' is not allowed: ")
    assert (record["tool"], record["effect"], record["outcome"]) == (ASK, "forbid", "denied")
    assert served.contacts == []


async def test_arguments_that_do_not_fit_never_leave(world: World, served: Served) -> None:
    async with partners(world, served.url) as partner:
        assert (await partner.ask("")).status == "error"
        assert (await partner.ask("x" * 20_000)).status == "error"
    assert served.contacts == []


async def test_an_agent_may_act_so_a_rule_for_all_of_it_asks_and_one_that_only_answers_is_permitted(
    world: World, served: Served
) -> None:
    async with partners(world, served.url, (GENERAL,)) as partner:
        assert (await partner.ask("how many")).status == "awaiting_approval"
        assert served.contacts == []
    async with partners(world, served.url, (GENERAL,), read_only=True) as partner:
        assert (await partner.ask("how many")).status == "ok"


@pytest.mark.parametrize("approve", [True, False], ids=["approved", "declined"])
async def test_a_person_decides_and_only_then_it_is_asked(
    world: World, served: Served, tmp_path: Path, approve: bool
) -> None:
    engine = await fresh_engine(tmp_path)
    desk = Approvals(engine, RunsSettings())
    world.desk = desk  # type: ignore[assignment]
    async with partners(world, served.url, (), auto_approve=False) as partner:
        partner.bus.refresh()
        world.catalogue.approve([ASK])
        partner.bus.refresh()
        outcome = await partner.ask("how many")
        assert outcome.status == "awaiting_approval"
        assert outcome.approval is not None
        assert outcome.approval.preview == "Call partner__ask with:\n- task: how many"
        assert served.contacts == []
        desk.connect(ApprovedActions(partner.bus, _Plain()).execute)  # type: ignore[arg-type]
        decided = await desk.decide(ADA, outcome.approval.id, approve=approve)
        await desk.close()
    await engine.dispose()
    if approve:
        assert (decided.state, decided.outcome) == ("done", "Two days. Ask your manager.")
        assert [request.text for request in served.turns.asked] == ["how many"]
        record = partner.audited()[-1]
        assert (record["outcome"], record["approval"]) == ("ok", decided.id)
    else:
        assert decided.state == "denied"
        assert served.contacts == []


async def test_an_approved_call_that_a_crash_cut_off_is_not_made_again(
    world: World, served: Served, tmp_path: Path
) -> None:
    engine = await fresh_engine(tmp_path)
    desk = Approvals(engine, RunsSettings())
    world.desk = desk  # type: ignore[assignment]
    async with partners(world, served.url, (GENERAL,)) as partner:
        outcome = await partner.ask("how many")
        assert outcome.approval is not None
        async with engine.begin() as connection:  # what a process leaves that is killed while it carries one out
            await connection.execute(sa.update(approval).values(state="executing"))
        desk.connect(ApprovedActions(partner.bus, _Plain()).execute)  # type: ignore[arg-type]
        assert await desk.resume() == 1
        await desk.close()
        ended = await desk.get(ADA, outcome.approval.id)
    await engine.dispose()
    assert ended.state == "failed"
    assert "whether it took effect is unknown" in ended.outcome
    assert served.contacts == []


async def test_what_was_proposed_to_an_agent_whose_card_has_changed_since_is_not_sent(
    world: World, served: Served
) -> None:
    async with partners(world, served.url, (GENERAL,), refresh_s=0.05, auto_approve=False) as partner:
        world.catalogue.approve([ASK])
        partner.bus.refresh()
        outcome = await partner.ask("how many")
        assert outcome.approval is not None
        served.card.description = "Answers, and transfers money."
        await partner.until_offered()
        approved = await partner.bus.call_approved(
            world.context(), ASK, outcome.approval.arguments, outcome.approval.id
        )
    assert approved.status == "denied"
    assert served.contacts == []


class _Plain:
    def clean(self, text: str) -> str:
        return text


async def test_a_changed_card_is_not_offered_until_it_is_approved(world: World, served: Served) -> None:
    async with partners(world, served.url, (FREELY,), refresh_s=0.05, auto_approve=False) as partner:
        assert await partner.offered() == []
        world.catalogue.approve([ASK])
        partner.bus.refresh()
        assert (await partner.ask("how many")).status == "ok"
        served.card.skills[0].description = "Now it also transfers money."
        await partner.until_offered()
        outcome = await partner.ask("how many")
        assert outcome.status == "denied"
        (waiting,) = world.catalogue.review()
        assert (waiting.spec.name, waiting.state) == (ASK, "changed")
        assert "transfers money" in waiting.spec.description
        world.catalogue.approve([ASK])
        partner.bus.refresh()
        assert (await partner.ask("how many")).status == "ok"
    assert len(served.turns.asked) == 2


async def test_what_nobody_is_told_of_a_card_may_change(world: World, served: Served) -> None:
    async with partners(world, served.url, refresh_s=0.05, auto_approve=False) as partner:
        world.catalogue.approve([ASK])
        partner.bus.refresh()
        served.card.version = "9"
        seen = len(served.requests)
        await world.until(lambda: len(served.requests) >= seen + 3)
        assert await partner.offered() == [ASK]


async def test_cancelling_a_call_cancels_its_task_over_there(world: World, served: Served) -> None:
    token = CancellationToken()
    async with partners(world, served.url) as partner:
        work = asyncio.create_task(partner.ask("slow one", token))
        await world.until(lambda: bool(served.turns.asked))
        token.cancel()
        assert (await work).status == "cancelled"
        await asyncio.wait_for(served.turns.stopped.wait(), 5)
        assert (await partner.until_audited(2))[-1]["outcome"] == "cancelled"


async def test_a_slow_one_is_given_up_stopped_and_said_to_be_unknown(world: World, served: Served) -> None:
    async with partners(world, served.url, timeout_s=0.5) as partner:
        outcome = await partner.ask("slow one")
        await asyncio.wait_for(served.turns.stopped.wait(), 5)
    assert outcome.status == "error"
    assert outcome.text.startswith("'ask' did not answer within 0.5 s. It was told to stop; whether it had taken")


async def broken_off(partner: Partnership, served: Served, times: int = 1) -> str:
    """The end of a call whose connection breaks `times` times while it is worked on."""
    work = asyncio.create_task(partner.ask("slow one"))
    already = len(served.turns.asked)
    for count in range(times):
        await partner.world.until(lambda count=count: len(served.turns.asked) == already + count + 1)
        served.drop()
    outcome = await work
    assert outcome.status == "error"
    return outcome.text


async def test_of_one_that_may_act_the_outcome_is_unknown_and_it_is_not_asked_again(
    world: World, served: Served
) -> None:
    async with partners(world, served.url) as partner:
        text = await broken_off(partner, served)
    assert "broke off" in text
    assert "Whether it did anything is unknown." in text
    assert len(served.turns.asked) == 1


async def test_one_that_only_answers_is_asked_once_more(world: World, served: Served) -> None:
    async with partners(world, served.url, read_only=True) as partner:
        text = await broken_off(partner, served, times=2)
    assert "unknown" not in text
    assert len(served.turns.asked) == 2


async def test_one_that_fails_again_and_again_is_left_alone(world: World, served: Served) -> None:
    async with partners(world, served.url) as partner:
        for _ in range(5):
            await broken_off(partner, served)
        assert (await partner.bus.health())["partner"].startswith("left alone for")
        assert await partner.offered() == []
        asked = len(served.turns.asked)
        outcome = await partner.ask("how many")
        assert "is not available: left alone" in outcome.text
        assert len(served.turns.asked) == asked
        await partner.until_offered(ASK)
        assert (await partner.ask("how many")).status == "ok"


async def test_one_that_is_gone_is_noticed_and_found_again(world: World, served: Served) -> None:
    async with partners(world, served.url, refresh_s=0.05) as partner:
        name, served.card.supported_interfaces[0].url = (
            served.card.supported_interfaces[0].url,
            "http://elsewhere.example",
        )
        await partner.until_offered()
        assert "another origin" in (await partner.bus.health())["partner"]
        served.card.supported_interfaces[0].url = name
        await partner.until_offered(ASK)
        assert (await partner.ask("how many")).status == "ok"


async def test_one_that_is_not_there_is_named(world: World) -> None:
    async with partners(world, "http://127.0.0.1:1") as partner:
        outcome = await partner.ask("hello")
    assert outcome.status == "error"
    assert outcome.text == "'partner' is not available: it does not show its card."


async def test_a_card_that_points_to_another_origin_is_refused(world: World, served: Served) -> None:
    async with partners(world, served.url.replace("127.0.0.1", "localhost")) as partner:
        outcome = await partner.ask("hello")
    assert "another origin" in outcome.text
    assert served.contacts == []
