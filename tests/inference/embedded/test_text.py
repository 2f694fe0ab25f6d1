from hypothesis import given
from hypothesis import strategies as st

from inference.embedded.client import pieces_of
from inference.embedded.compose.evidence import Passage
from inference.embedded.compose.units import units_of
from inference.embedded.direct import passages_in
from inference.embedded.intents import clean, split_intents, wants_action
from inference.embedded.prompt_reader import parse_object
from inference.embedded.text import sentences


def test_abbreviations_and_initials_end_no_sentence() -> None:
    text = "Ask Dr. Lee, e.g. by mail. J. Smith knows (approx. 5 p.m.). Then go."
    assert sentences(text) == ["Ask Dr. Lee, e.g. by mail.", "J. Smith knows (approx. 5 p.m.).", "Then go."]


def test_other_scripts_are_cut_too() -> None:
    assert sentences("今日は。明日も。") == ["今日は。", "明日も。"]


def test_a_message_is_cut_where_it_asks_for_separate_things() -> None:
    parts = split_intents("My pass is lost. How do I get a new one, and what does a replacement badge cost?")
    assert [(part.text, part.context) for part in parts] == [
        ("How do I get a new one", "My pass is lost."),
        ("what does a replacement badge cost?", ""),
    ]


def test_a_bare_question_asks_about_what_was_said_before() -> None:
    parts = split_intents("A supplier wants me to sign a paper. What should I do?")
    assert [part.whole for part in parts] == ["A supplier wants me to sign a paper. What should I do?"]


def test_one_question_with_and_inside_stays_one() -> None:
    assert [part.text for part in split_intents("What do pens and paper cost?")] == ["What do pens and paper cost?"]


def test_politeness_goes_the_question_stays() -> None:
    assert clean("Hi, could you please tell me how long a visa takes, thanks!") == "how long a visa takes"
    assert clean("please") == "please"


def test_only_an_order_is_an_action() -> None:
    assert wants_action("Could you send Ada the list?")
    assert wants_action("please open a ticket")
    assert not wants_action("How do I open a ticket?")
    assert not wants_action("Tell me the opening hours")
    assert not wants_action("What is an open order?")


def test_tables_lists_and_facts_become_units() -> None:
    text = (
        "# Rooms\n\n| Room | Seats |\n|---|---|\n| Blue | 12 |\n\nBring:\n\n- a badge\n  with photo\n- a pen\n\n"
        "Site: Ghent; Floor: 2\nSite: Porto; Floor: 1"
    )
    units = units_of([Passage("r", text)])
    assert [(unit.kind, unit.text, unit.lead) for unit in units] == [
        ("row", "Room: Blue; Seats: 12", ""),
        ("sentence", "Bring:", ""),
        ("item", "- a badge with photo", "Bring:"),
        ("item", "- a pen", "Bring:"),
        ("row", "Site: Ghent; Floor: 2", "Bring:"),
        ("row", "Site: Porto; Floor: 1", "Bring:"),
    ]


def test_json_is_found_whatever_stands_around_it() -> None:
    assert parse_object('note {"a": "}"} and {more}') == {"a": "}"}
    assert parse_object("[1]") is None
    assert parse_object("{broken") is None


def test_a_message_with_its_own_context_is_taken_apart() -> None:
    context = (
        "The lift is checked every spring by an outside firm. It may carry eight people and never freight of any kind."
    )
    question, evidence = passages_in(f"Context: {context}\n\nQuestion: How many people may the lift carry?")
    assert question == "How many people may the lift carry?"
    assert [passage.text for passage in evidence.passages] == [context]


@given(st.text(max_size=400))
def test_pieces_of_a_stream_are_the_text(text: str) -> None:
    assert "".join(pieces_of(text)) == text


@given(st.text(max_size=400))
def test_no_passage_breaks_the_cutter(text: str) -> None:
    for unit in units_of([Passage("r", text)]):
        assert unit.text.strip()


@given(st.text(max_size=300))
def test_every_message_has_an_intent(text: str) -> None:
    assert split_intents(text)
