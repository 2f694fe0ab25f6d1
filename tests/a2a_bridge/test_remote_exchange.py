"""What an agent may answer, and what becomes of it."""

from pathlib import Path

import pytest
from a2a_bridge.declared import declared
from a2a_bridge.settings import A2ASettings, RemoteAgent
from pydantic import ValidationError

import toolbus.kernel  # noqa: F401 - heavy to import: not on the clock of the first test
from runs.events import Progress
from tests.a2a_bridge.calls import partners
from tests.a2a_bridge.other_agent import card_of, other_agent
from tests.toolbus.world import World
from toolbus.contracts import ToolOutcome

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def asked(world: World, task: str, *, streaming: bool = True) -> ToolOutcome:
    async with other_agent(streaming=streaming) as (url, _), partners(world, url) as partner:
        return await partner.ask(task)


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "at once"])
@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("message please", "Here at once."),
        ("status please", "It is in the status."),
        ("twice please", "The answer in pieces.\n\nAnd a second one."),
    ],
)
async def test_an_answer_counts_wherever_the_agent_puts_it(
    world: World, task: str, answer: str, streaming: bool
) -> None:
    outcome = await asked(world, task, streaming=streaming)
    assert (outcome.status, outcome.text) == ("ok", answer)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("reject it", "The agent 'partner' declined the task: “Not on Sundays.”"),
        ("nothing please", "The agent 'partner' ended without an answer."),
        (
            "credentials please",
            "The agent 'partner' asks for other credentials: “Sign in at the carrier.” Its task was ended there.",
        ),
    ],
)
async def test_what_it_did_not_do_is_an_error_in_its_own_words(world: World, task: str, reason: str) -> None:
    outcome = await asked(world, task)
    assert (outcome.status, outcome.text) == ("error", reason)


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "at once"])
async def test_what_it_asks_back_is_told_and_its_task_is_ended(world: World, streaming: bool) -> None:
    async with other_agent(streaming=streaming) as (url, executor):
        async with partners(world, url) as partner:
            outcome = await partner.ask("question first")
        assert len(executor.cancelled) == 1
    assert outcome.status == "error"
    assert outcome.text.startswith("The agent 'partner' asks before it goes on: “Which parcel do you mean? Say it.")
    assert outcome.text.endswith("…” Its task was ended there: ask again with what it needs, or turn to it directly.")
    assert len(outcome.text) <= 300


async def test_its_progress_is_passed_on_no_faster_than_it_can_be_read(world: World) -> None:
    assert (await asked(world, "progress please")).text == "Looked."
    told = [event.message for event in world.events if isinstance(event, Progress)]
    assert told[0] == "Looked at 0."
    assert len(told) < 20


async def test_a_reply_without_end_is_broken_off(world: World) -> None:
    outcome = await asked(world, "flood us")
    assert outcome.status == "error"
    assert "broke off" in outcome.text


async def test_the_same_call_can_be_told_by_its_message(world: World) -> None:
    async with other_agent() as (url, executor), partners(world, url) as partner:
        context = world.context()
        outcome = await partner.bus.call_approved(context, "partner__ask", {"task": "status please"}, "appr_7")
    assert outcome.status == "ok"
    assert executor.message_ids == ["appr_7"]


def test_a_card_is_bounded_and_made_visible_and_all_that_is_told_of_it_is_pinned() -> None:
    card = card_of("http://x", streaming=True)
    card.skills[0].description = "Finds parcels. " * 100
    tool = declared(card, RemoteAgent(url="http://x"))
    first, second = tool.description.splitlines()
    assert first == "Carrier desk: Answers for the carrier."
    assert second.startswith("- Track: Finds parcels.")
    assert len(second) < 320
    assert tool.input_schema["properties"]["task"]["examples"] == ["Where is parcel 1?"]
    assert (tool.read_only, tool.destructive, tool.idempotent) == (False, True, False)
    asked_freely = declared(card, RemoteAgent(url="http://x", read_only=True))
    assert (asked_freely.read_only, asked_freely.destructive, asked_freely.idempotent) == (True, False, True)


@pytest.mark.parametrize("name", ["Partner", "a__b", "a_b", ""])
def test_a_name_that_no_tool_can_begin_with_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="must match"):
        A2ASettings(agents={name: RemoteAgent(url="http://x")})
