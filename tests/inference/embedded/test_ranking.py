"""Which of many closed variants a question means: by what it is about, whoever and whatever it names."""

from datetime import date
from typing import Any

import pytest
from autogen_core.tools import ToolSchema

from inference.embedded import EmbeddedEngine
from inference.embedded.arguments.choices import pick
from inference.embedded.beyond import composes
from inference.embedded.entities import Entities
from inference.embedded.intents import split_intents, wants_action
from inference.embedded.schemas import offers_of
from inference.embedded.smalltalk import small_talk

TODAY = date(2026, 5, 8)
PLACE = {"type": "string", "enum": ["Oslo", "Bergen", "Malmö"], "description": "Only this place."}
BOAT = {"type": "string", "enum": ["Fjord Small", "Fjord Tall", "Ferry 20 m"], "description": "Only this boat."}


def variant(name: str, description: str, examples: list[str], required: tuple[str, ...] = (), **parameters: Any) -> Any:
    properties = {"metric": {"type": "string", "const": name}, **parameters}
    return {
        "type": "object",
        "description": description,
        "examples": examples,
        "properties": properties,
        "required": ["metric", *required],
    }


FIGURES: ToolSchema = {
    "name": "harbour__query",
    "description": "Figures of the harbour.",
    "parameters": {
        "type": "object",
        "properties": {
            "query": {
                "oneOf": [
                    variant(
                        "boats_rented",
                        "How many rentals each boat had in a period.",
                        ["How many rentals of the Fjord Small did we have this year?"],
                        place=PLACE,
                        boat=BOAT,
                        since={"type": "string", "format": "date"},
                    ),
                    variant(
                        "repairs",
                        "How many repairs and cleanings each boat needed in a period.",
                        ["Repairs this quarter", "Which boat needed most repairs?"],
                        boat=BOAT,
                        kind={"type": "string", "enum": ["repair", "cleaning"]},
                        since={"type": "string", "format": "date"},
                    ),
                    variant(
                        "boats_free",
                        "How many boats are free at a pier now.",
                        ["How many boats are free?"],
                        ("boat",),
                        boat=BOAT,
                        place=PLACE,
                    ),
                ]
            }
        },
        "required": ["query"],
    },  # type: ignore[typeddict-item]
}


@pytest.mark.parametrize(
    ("wish", "query"),
    [
        (
            "How many repairs of the Fjord Small did we have since 1 March 2026?",
            {"metric": "repairs", "boat": "Fjord Small", "kind": "repair", "since": "2026-03-01"},
        ),
        ("How many times was the Fjord Tall fixed?", {"metric": "repairs", "boat": "Fjord Tall", "kind": "repair"}),
        ("Are any ferries free in Malmo?", {"metric": "boats_free", "boat": "Ferry 20 m", "place": "Malmö"}),
    ],
)
async def test_names_and_values_decide_only_for_who_has_a_place_for_them(
    engine: EmbeddedEngine, wish: str, query: dict[str, Any]
) -> None:
    choice = await engine.tools.choose(wish, offers_of([FIGURES]), TODAY)
    assert [call.arguments["query"] for call in choice.calls] == [query]


async def test_a_question_about_a_rule_calls_no_figure(engine: EmbeddedEngine) -> None:
    choice = await engine.tools.choose("Should guests pay for a repair?", offers_of([FIGURES]), TODAY)
    assert choice.calls == ()


def test_names_of_closed_values_become_what_they_are_names_of() -> None:
    entities = Entities(offers_of([FIGURES]))
    assert entities.masked("Repairs of Fjord Smalls in Malmo since March", TODAY) == "Repairs of boats in place since "
    assert entities.removed("Rentals in Oslo") == "Rentals in  "


@pytest.mark.parametrize(
    ("values", "text", "value"),
    [
        (["NordBoat", "Fjord Line"], "bookings of NordBoat", "NordBoat"),
        (["it", "rooms"], "it is cold", None),
        (["it", "rooms"], "a case for IT", "it"),
        (["Motor 85 Nm", "Lamp 3", "Lamp 4"], "do we have motors", "Motor 85 Nm"),
        (["Motor 85 Nm", "Lamp 3", "Lamp 4"], "do we have lamps", None),
        (["day", "month"], "visitors of last month", None),
        (["complaint", "praise"], "what did guests complain about", "complaint"),
    ],
)
def test_a_closed_value_is_known_as_people_say_it(values: list[str], text: str, value: str | None) -> None:
    assert pick(values, text) == value


def test_parts_that_only_a_comma_divides_are_asked_apart() -> None:
    parts = split_intents("What does the rule say about dogs, how many dogs came in March, and open a ticket about it")
    assert [part.text for part in parts] == [
        "What does the rule say about dogs",
        "how many dogs came in March",
        "open a ticket about it",
    ]


def test_what_follows_an_order_belongs_to_it() -> None:
    (part,) = split_intents("Please report a leak: water in hall 3. It is urgent.")
    assert (part.text, part.rest) == ("report a leak: water in hall 3.", "It is urgent.")


@pytest.mark.parametrize(
    "order",
    ["I need a ticket opened for the lamp", "hand T-12 over to Ada", "I'd like the booking cancelled, please"],
)
def test_an_order_is_known_in_other_forms(order: str) -> None:
    assert wants_action(order)


@pytest.mark.parametrize(
    "wish",
    [
        "Can you make this sound friendlier: go away",
        "come up with a name for our boat",
        "Please correct the grammar: he go home",
        "could you translate this into Dutch?",
    ],
)
def test_work_on_a_text_is_known_in_other_forms(wish: str) -> None:
    assert composes(wish)


@pytest.mark.parametrize("words", ["see you tomorrow", "ok, good night!", "thanks, bye", "have a nice evening"])
def test_a_goodbye_is_small_talk(words: str) -> None:
    assert small_talk(words, "") == "Goodbye."
