"""A message that leans on what was said before is made whole, part by part."""

from datetime import date

import pytest

from inference.embedded.followups import intents_of, rewrite
from inference.embedded.prompt_reader import Turn

TODAY = date(2026, 5, 8)


@pytest.mark.parametrize(
    ("before", "message", "whole"),
    [
        (
            "How many visitors came to Oslo in March?",
            "What about Bergen?",
            "How many visitors came to Bergen in March?",
        ),
        ("How many Fjord Small are left in Oslo?", "and for the Fjord Tall?", "How many Fjord Tall are left in Oslo?"),
        ("Did Oslo or Turku have more visitors?", "same for Bergen", "Bergen: Did Oslo or Turku have more visitors?"),
        ("What was CASE-2026-0042?", "who looked into it?", "who looked into CASE-2026-0042?"),
        ("Show the bookings of Nordlys", "just the paid ones please", "Show the bookings of Nordlys, only paid"),
        ("How many guides are in Oslo?", "in Bergen", "How many guides are in Bergen?"),
        ("How many guides are there?", "since March please", "How many guides are there since March?"),
        ("How long is a tour?", "translate that into Dutch", "translate that into Dutch"),
        ("How long is a tour?", "open a ticket about that", "open a ticket about that"),
        ("How long is a tour?", "What does a ticket to Bergen cost?", "What does a ticket to Bergen cost?"),
    ],
)
def test_a_follow_up_takes_what_it_leaves_out(before: str, message: str, whole: str) -> None:
    assert rewrite(message, (Turn("user", before),), TODAY) == whole


@pytest.mark.parametrize(
    ("message", "last"),
    [
        ("How many days off do I get in Bergen?\nHow many guides work there?", "How many guides work in Bergen?"),
        ("Is Nordlys late, and what is its penalty for that delay?", "what is Nordlys’s penalty for that delay?"),
        ("How many are in Bergen? Is there a rule for the pier?", "Is there a rule for the pier?"),
    ],
)
def test_a_later_part_is_understood_without_the_earlier_one(message: str, last: str) -> None:
    assert intents_of(message)[-1].text == last
