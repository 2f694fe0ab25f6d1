from typing import ClassVar

import pytest
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import TextMessage

from agents.contracts import Plan, Specialist, Step
from agents.prompting import Prompts
from agents.settings import AgentsSettings, SpecialistSettings
from agents.specialists.remote import RemoteSpecialist
from agents.specialists.roster import Roster, load_specialists
from signalbox.errors import UserFault
from signalbox.identity import Chain
from tests.agents.memory import MemoryBus
from tests.agents.scripted import ADA, Reply, ask, collect, evidence

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


class Elsewhere(BaseChatAgent):
    """Stands for an agent in another organisation."""

    heard: ClassVar[list[str]] = []

    def __init__(self, name):
        super().__init__(name, "remote")

    @property
    def produced_message_types(self):
        return (TextMessage,)

    async def on_messages(self, messages, cancellation_token):
        self.heard.append(messages[-1].content)
        return Response(chat_message=TextMessage(content="The carrier says Tuesday.", source=self.name))

    async def on_reset(self, cancellation_token): ...


async def test_a_remote_agent_is_a_specialist_like_any_other_and_sees_only_its_task(house):
    remote = RemoteSpecialist("carrier-desk", "Answers for the carrier.", ("Where is parcel 1?",), Elsewhere, LIMITS)
    steps = [
        Step(id="a", specialist="generalist", task="Name the parcel."),
        Step(id="b", specialist="carrier-desk", task="Where is it?", needs=["a"]),
    ]

    said = {"planner": Plan(steps=steps), "specialist:generalist": "Parcel 7.", "synthesiser": "Tuesday."}
    home = house(lambda seen: said[seen.role], extra={"remote": [remote]})
    events = await collect(home.turns.run(ask("A secret question about my parcel")))
    assert events[-1].result.text == "Tuesday."
    assert Elsewhere.heard == ["Where is it?\n\ngeneralist: Parcel 7."]


async def test_a_remote_agent_that_does_not_answer_is_a_step_that_timed_out(house):
    class Silent(Elsewhere):
        async def on_messages(self, messages, cancellation_token):
            import asyncio

            await asyncio.sleep(30)
            raise AssertionError

    limits = LIMITS.model_copy(update={"timeout_s": 0.1})
    remote = RemoteSpecialist("carrier", "Answers for the carrier.", (), Silent, limits)
    step = Step(id="a", specialist="carrier", task="Where?")
    home = house(lambda seen: Plan(steps=[step]) if seen.role == "planner" else Reply(""), extra={"remote": [remote]})
    events = await collect(home.turns.run(ask("Where?")))
    assert events[-1].result.text == "I could not answer this. The carrier specialist did not answer within 0.1 s."


async def test_the_planner_knows_how_a_remote_agent_is(house):
    state = ["up"]
    limits = SpecialistSettings(module="x")
    partner = RemoteSpecialist("partner", "Another's.", [], lambda name: None, limits, health=lambda: state[0])
    home = house(lambda seen: Plan(reply="Hello."), extra={"remote": [partner]})
    for state[0] in ("up", "did not answer a moment ago"):
        await collect(home.turns.run(ask("Hi")))
    prompts = [seen.prompt for seen in home.models.by_role("planner")]
    assert [text.split('"name": "partner"')[1].split('"health": "')[1].split('"')[0] for text in prompts] == [
        "up",
        "did not answer a moment ago",
    ]
