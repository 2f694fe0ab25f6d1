from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from inference.embedded.arguments.filler import Words, fill

TODAY = date(2026, 5, 8)


def filled(properties: dict[str, Any], text: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return fill(schema, Words(text, TODAY)).arguments


@pytest.mark.parametrize(
    ("properties", "text", "expected"),
    [
        ({"priority": {"type": "string", "enum": ["low", "normal", "high"]}}, "this is urgent", {"priority": "high"}),
        ({"status": {"type": "string", "enum": ["open", "closed"]}}, "those not closed", {"status": "open"}),
        (
            {"site_kind": {"type": "string", "enum": ["main_office", "office"]}},
            "the main office",
            {"site_kind": "main_office"},
        ),
        ({"ticket_id": {"type": "string", "examples": ["T-1042"]}}, "close t-77 now", {"ticket_id": "t-77"}),
        ({"code": {"type": "string", "pattern": r"^[A-Z]{2}\d{3}$"}}, "use ab123", {}),
        ({"part": {"type": "string", "pattern": r"^[A-Z]{2}\d{3}$"}}, "use ab123, please", {"part": "AB123"}),
        ({"quantity": {"type": "integer", "minimum": 1}}, "order 12 boxes", {"quantity": 12}),
        ({"amount": {"type": "number"}}, "pay 1,250.50 euros", {"amount": 1250.5}),
        ({"limit": {"type": "integer"}}, "the top 5 of room 12", {"limit": 5}),
        ({"limit": {"type": "integer"}}, "orders of room 12", {}),
        ({"days": {"type": "integer", "maximum": 10}}, "for 40 days", {}),
        ({"email": {"type": "string", "format": "email"}}, "write to a.b@c.example.", {"email": "a.b@c.example"}),
        (
            {"url": {"type": "string", "format": "uri"}},
            "see https://x.example/a?b=1.",
            {"url": "https://x.example/a?b=1"},
        ),
        ({"recipient": {"type": "string"}}, "Tell Marta Lopes that it rains", {"recipient": "Marta Lopes"}),
        ({"cursor": {"type": "string"}, "sql": {"type": "string"}}, 'find "everything"', {}),
        ({"include_closed": {"type": "boolean"}}, "tickets, closed ones too", {"include_closed": True}),
        ({"month": {"type": "string", "pattern": r"^\d{4}-\d{2}$"}}, "for March", {"month": "2026-03"}),
        (
            {"tags": {"type": "array", "items": {"enum": ["red", "blue", "green"]}}},
            "green and red ones",
            {"tags": ["green", "red"]},
        ),
        (
            {"origin": {"type": "string"}, "destination": {"type": "string"}},
            "from Ghent to Porto",
            {"origin": "Ghent", "destination": "Porto"},
        ),
    ],
)
def test_values_are_found_by_their_shape(properties: dict[str, Any], text: str, expected: dict[str, Any]) -> None:
    assert filled(properties, text) == expected


def test_a_title_and_a_body_are_cut_from_the_order() -> None:
    properties = {"title": {"type": "string"}, "description": {"type": "string"}}
    arguments = filled(properties, "Please open a ticket about the broken gate in hall 2", ("title", "description"))
    assert arguments == {"title": "The broken gate in hall 2", "description": "The broken gate in hall 2"}


def test_what_the_words_do_not_hold_is_named_as_missing_and_never_invented() -> None:
    schema = {
        "type": "object",
        "properties": {
            "ticket_id": {"type": "string", "examples": ["T-1"]},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["ticket_id", "day"],
    }
    result = fill(schema, Words("move the ticket", TODAY))
    assert (result.arguments, result.missing) == ({}, ("ticket_id", "day"))


def test_what_a_step_found_is_the_text_to_send_on() -> None:
    schema = {"type": "object", "properties": {"body": {"type": "string"}}, "required": ["body"]}
    words = Words("Send the result to Bruno", TODAY, found="12 orders were late.")
    assert fill(schema, words).arguments == {"body": "12 orders were late."}


_KINDS = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "format": "date"},
        {"type": "string", "enum": ["red", "blue"]},
        {"type": "integer", "minimum": 0, "maximum": 50},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    ]
)
_NAMES = st.sampled_from(
    ["query", "title", "date", "from_date", "to", "count", "id", "color", "note", "city", "flag", "x"]
)


@given(st.dictionaries(_NAMES, _KINDS, max_size=6), st.text(max_size=120), st.data())
def test_arguments_always_fit_the_schema_apart_from_what_is_missing(
    properties: dict[str, Any], text: str, data: st.DataObject
) -> None:
    required = data.draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    result = fill({"type": "object", "properties": properties, "required": required}, Words(text, TODAY))
    rest = [name for name in required if name not in result.missing]
    schema = {"type": "object", "properties": properties, "required": rest, "additionalProperties": False}
    assert list(Draft202012Validator(schema).iter_errors(result.arguments)) == []
