import asyncio
from typing import Any

import pytest

from agents.contracts import Plan, Specialist, Step
from agents.prompting import Prompts
from agents.settings import AgentsSettings, SpecialistSettings
from agents.specialists.remote import RemoteSpecialist
from agents.specialists.roster import Roster, load_specialists
from signalbox.errors import UserFault
from signalbox.identity import Chain
from tests.agents.memory import MemoryBus
from tests.agents.scripted import ADA, ask, collect, evidence
from toolbus.contracts import ToolOutcome, ToolSpec

LIMITS = SpecialistSettings(module="agents.specialists.remote", timeout_s=1)


def test_the_installed_specialists_are_those_of_the_settings_in_their_order():
    specialists: list[Specialist] = list(load_specialists(AgentsSettings()))
    assert [specialist.name for specialist in specialists] == ["knowledge", "data", "actions", "generalist"]


def test_an_entry_adds_changes_or_disables_a_specialist():
    settings = AgentsSettings.model_validate(
        {
            "specialists": {
                "actions": {"enabled": False},
                "data": {"timeout_s": 60},
                "archive": {"module": "agents.specialists.knowledge"},
            }
        }
    )
    loaded = {specialist.limits.module: specialist.limits.timeout_s for specialist in load_specialists(settings)}
    assert loaded == {
        "agents.specialists.knowledge": 30,
        "agents.specialists.data": 60,
        "agents.specialists.generalist": 30,
    }


def test_every_specialist_has_a_prompt_examples_and_a_description():
    prompts = Prompts(canary="x")
    for specialist in load_specialists(AgentsSettings()):
        assert prompts.instruction(specialist.name)
        assert len(specialist.examples) >= 3
        assert specialist.description.endswith(".")


@pytest.mark.parametrize("module", ["no.such.module", "agents.specialists.roster", "agents.specialists.base"])
def test_a_specialist_that_cannot_be_loaded_says_which_and_where_to_mend_it(module):
    settings = AgentsSettings(specialists={"odd": SpecialistSettings(module=module)})
    with pytest.raises(UserFault, match=r"'odd'.*agents.specialists in signalbox.toml"):
        load_specialists(settings)


async def test_the_planner_is_told_tools_and_health_of_each():
    bus = MemoryBus(knowledge__search=lambda _: evidence("aaaaaaaa", "x"))
    bus.server_health = {"knowledge": "up", "operations": "not reachable", "desk": "up"}
    roster = Roster(load_specialists(AgentsSettings()), bus, lookup_timeout_s=1)
    _, cards = await roster.look(Chain(principal=ADA))
    assert {card["name"]: (card["tools"], card["health"]) for card in cards} == {
        "knowledge": (["knowledge__search"], "up"),
        "data": ([], "operations: not reachable"),
        "actions": ([], "no tools"),
        "generalist": ([], "up"),
    }


async def test_the_settings_can_give_a_specialist_other_tools(house):
    bus = MemoryBus(wiki__find=lambda _: evidence("aaaaaaaa", "x"))
    entry = {"module": "agents.specialists.knowledge", "tools": ["wiki__*"]}
    home = house(lambda seen: Plan(reply="x"), bus, specialists={"knowledge": entry})
    await collect(home.turns.run(ask("Hm?")))
    assert '"tools": ["wiki__find"]' in home.models.seen[0].prompt


def partner_tool(**schema: Any) -> ToolSpec:
    properties = {"task": {"type": "string", **schema}}
    return ToolSpec(
        name="carrier-desk__ask",
        server="carrier-desk",
        tool="ask",
        description="Carrier desk: Answers for the carrier.",
        input_schema={"type": "object", "properties": properties},
        pin="p",
    )


def carrier(limits: SpecialistSettings = LIMITS, tool: ToolSpec | None = None, **operators: Any) -> RemoteSpecialist:
    return RemoteSpecialist("carrier-desk", limits, lambda: tool, **operators)


def says(text: str, status: Any = "ok") -> MemoryBus:
    return MemoryBus(**{"carrier-desk__ask": lambda _: ToolOutcome("carrier-desk__ask", status, text)})


ASKED = Plan(steps=[Step(id="a", specialist="carrier-desk", task="Where is it?")])


async def test_a_remote_agent_is_a_specialist_like_any_other_and_sees_only_its_task(house):
    bus = says("The carrier says Tuesday.")
    steps = [
        Step(id="a", specialist="generalist", task="Name the parcel."),
        Step(id="b", specialist="carrier-desk", task="Where is it?", needs=["a"]),
    ]

    said = {"planner": Plan(steps=steps), "specialist:generalist": "Parcel 7.", "synthesiser": "Tuesday."}
    home = house(lambda seen: said[seen.role], bus, extra={"remote": [carrier()]})
    events = await collect(home.turns.run(ask("A secret question about my parcel")))
    assert events[-1].result.text == "Tuesday."
    assert bus.calls == [("ada", "carrier-desk__ask", {"task": "Where is it?\n\ngeneralist: Parcel 7."})]


async def test_what_a_remote_agent_says_is_the_answer_and_it_is_its_source(house):
    home = house(lambda seen: ASKED, says("The carrier says Tuesday."), extra={"remote": [carrier()]})
    result = (await collect(home.turns.run(ask("Where is my parcel?"))))[-1].result
    assert result.text == "The carrier says Tuesday. [1]"
    assert [(source.document, source.quote) for source in result.sources] == [
        ("carrier-desk__ask", "The carrier says Tuesday.")
    ]
    assert [seen.role for seen in home.models.seen] == ["planner"]  # no model of ours had a say in it


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (
            "error",
            "The agent 'carrier-desk' asks before it goes on: “Which parcel?”",
            "I could not answer this. The carrier-desk specialist could not do its part: "
            "The agent 'carrier-desk' asks before it goes on: “Which parcel?”.",
        ),
        (
            "denied",
            "'carrier-desk__ask' is not allowed: for staff only.",
            "I could not answer this. The carrier-desk specialist was not allowed to do this: "
            "'carrier-desk__ask' is not allowed: for staff only.",
        ),
    ],
)
async def test_what_a_remote_agent_did_not_do_is_said_by_code(house, status, text, said):
    home = house(lambda seen: ASKED, says(text, status), extra={"remote": [carrier()]}, replans=0)
    assert (await collect(home.turns.run(ask("Where is my parcel?"))))[-1].result.text == said


async def test_a_remote_agent_that_does_not_answer_is_a_step_that_timed_out(house):
    async def silent(_):
        await asyncio.sleep(30)
        raise AssertionError

    limits = LIMITS.model_copy(update={"timeout_s": 0.1})
    bus = MemoryBus(**{"carrier-desk__ask": silent})
    home = house(lambda seen: ASKED, bus, extra={"remote": [carrier(limits)]}, replans=0)
    events = await collect(home.turns.run(ask("Where?")))
    assert events[-1].result.text == "I could not answer this. The carrier-desk specialist did not answer within 0.1 s."
    assert bus.cancelled == ["carrier-desk__ask"]


async def test_findings_are_cut_to_what_the_agent_takes(house):
    bus = says("Tuesday.")
    steps = [
        Step(id="a", specialist="generalist", task="Name it."),
        Step(id="b", specialist="carrier-desk", task="Where is it?", needs=["a"]),
    ]
    said = {"planner": Plan(steps=steps), "specialist:generalist": "Parcel 7.", "synthesiser": "Tuesday."}
    remote = carrier(tool=partner_tool(maxLength=30))
    await collect(house(lambda seen: said[seen.role], bus, extra={"remote": [remote]}).turns.run(ask("Hm?")))
    assert bus.calls[0][2] == {"task": "Where is it?\n\ngeneralist: Parc"}


def test_nothing_of_a_card_is_told_before_its_review():
    assert carrier().description == "Asks carrier-desk, another organisation's agent, which is not offered now."
    assert carrier().examples == ()
    admitted = carrier(tool=partner_tool(examples=["Where is parcel 1?"]))
    assert admitted.description == "Carrier desk: Answers for the carrier."
    assert admitted.examples == ("Where is parcel 1?",)
    own = carrier(tool=partner_tool(), description="Parcels.", examples=("Is it there?",))
    assert (own.description, own.examples) == ("Parcels.", ("Is it there?",))


async def test_the_planner_knows_how_a_remote_agent_is(house):
    bus = says("Tuesday.")
    home = house(lambda seen: Plan(reply="Hello."), bus, extra={"remote": [carrier()]})
    await collect(home.turns.run(ask("Hi")))
    bus.acts.clear()
    bus.server_health["carrier-desk"] = "does not show its card"
    await collect(home.turns.run(ask("Hi")))
    prompts = [seen.prompt for seen in home.models.by_role("planner")]
    assert [text.split('"name": "carrier-desk"')[1].split('"health": "')[1].split('"')[0] for text in prompts] == [
        "up",
        "carrier-desk: does not show its card",
    ]
