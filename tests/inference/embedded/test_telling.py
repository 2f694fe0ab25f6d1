"""What a question is about, what a title says, which words order a text."""

from datetime import date

import pytest

from inference.embedded.arguments.choices import described, pick
from inference.embedded.arguments.texts import body_text, title_text
from inference.embedded.beyond import composes
from inference.embedded.followups import rewrite
from inference.embedded.intents import wants_action
from inference.embedded.prompt_reader import Turn
from inference.embedded.telling import telling_stems

TODAY = date(2026, 5, 8)


def test_dates_and_words_that_go_with_any_question_do_not_tell() -> None:
    assert telling_stems("How many visitors came in March right now?", TODAY) == ("visitor", "came")
    assert telling_stems("how many in total?", TODAY) == ()


@pytest.mark.parametrize(
    ("wish", "title"),
    [
        ("Open a ticket: the label maker in Oslo prints blank pages", "The label maker in Oslo prints blank pages"),
        ("pls raise a ticket, lamp 3 does not burn any more", "Lamp 3 does not burn any more"),
        ('Open a case titled "No heating" with high priority', "No heating"),
        ("Tell Nora the figures are ready", "The figures are ready"),
    ],
)
def test_a_title_is_the_whole_clause_without_the_order(wish: str, title: str) -> None:
    assert title_text(wish) == title


def test_a_quoted_title_is_not_the_body_too() -> None:
    wish = 'Open a case titled "No heating" with high priority'
    assert body_text(wish, beside="No heating") == wish


def test_a_text_to_be_made_up_is_no_order_to_act() -> None:
    assert composes("Write me a poem about trains")
    assert not composes("Write a message to Nora: the frames are here")
    assert wants_action("Let Nora Lund know that the truck is late")


def test_a_follow_up_takes_the_place_of_what_it_changes() -> None:
    before = (Turn("user", "How many visitors came to Oslo in March?"),)
    assert rewrite("and in April?", before, TODAY) == "How many visitors came to Oslo in April?"


def test_a_value_is_known_by_its_first_word_or_by_its_description() -> None:
    assert pick(["Nordlys Kraft", "Fjord Line"], "what came from Nordlys?") == "Nordlys Kraft"
    about = "it: computers, printers. rooms: doors, roofs."
    assert described(["it", "rooms"], about, "the printer is stuck") == "it"
