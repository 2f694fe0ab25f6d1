"""Schemas as they are sent: narrower than the tool's own, never contradictory."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from inference.schemas import Invalid, all_required, check_arguments, close_schema, parse_json

TEXT = {"type": "string"}


def closed(schema):
    return close_schema(schema, loose_strings=True)


def test_objects_are_closed_at_every_depth():
    inner = {"type": "object", "properties": {"a": TEXT}}
    schema = {
        "type": "object",
        "properties": {"one": inner, "many": {"type": "array", "items": inner}, "any": {"anyOf": [inner, TEXT]}},
        "$defs": {"X": inner},
    }
    shut = {**inner, "additionalProperties": False}
    assert closed(schema) == {
        "type": "object",
        "properties": {"one": shut, "many": {"type": "array", "items": shut}, "any": {"anyOf": [shut, TEXT]}},
        "$defs": {"X": shut},
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": TEXT}, "additionalProperties": TEXT},
        {"type": "object", "additionalProperties": True},
        {"type": "object"},
        {"allOf": [{"properties": {"a": TEXT}}, {"properties": {"b": TEXT}}]},
        {"properties": {"kind": TEXT}, "oneOf": [{"properties": {"x": TEXT}}, {"properties": {"y": TEXT}}]},
        {"properties": {"a": TEXT}, "if": {"properties": {"a": {"const": "x"}}}, "then": {"required": ["b"]}},
        {"properties": {"a": TEXT}, "patternProperties": {"^x_": TEXT}},
        {"properties": {"properties": TEXT}, "$ref": "#/$defs/more"},
        {"not": {"properties": {"a": TEXT}}},
        True,
    ],
)
def test_objects_that_are_open_on_purpose_stay_open(schema):
    assert closed(schema) == schema


NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.sampled_from([TEXT, {"type": "integer"}, {"type": "boolean"}, {"enum": ["x", 1]}])
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda properties, required: {"type": "object", "properties": properties, "required": sorted(required)},
            st.dictionaries(NAMES, inner, max_size=3),
            st.sets(NAMES, max_size=2),
        ),
        st.builds(lambda item: {"type": "array", "items": item}, inner),
        st.builds(lambda one, two: {"anyOf": [one, two]}, inner, inner),
        st.builds(lambda one, two: {"allOf": [one, two]}, inner, inner),
    ),
    max_leaves=6,
)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(0, 2), st.sampled_from(["x", "y"])),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
def test_what_the_sent_schema_allows_the_tools_own_allows_too(schema, value):
    if Draft202012Validator(closed(schema)).is_valid(value):
        assert Draft202012Validator(schema).is_valid(value)


def test_long_strings_lose_their_bounds_and_labels_keep_them():
    schema = {
        "properties": {"prose": {"type": "string", "maxLength": 500, "minLength": 1}, "id": {**TEXT, "maxLength": 20}}
    }
    assert closed(schema)["properties"] == {"prose": TEXT, "id": {**TEXT, "maxLength": 20}}
    assert close_schema(schema, loose_strings=False)["properties"] == schema["properties"]


def test_a_server_that_wants_every_property_required_is_told_strict_only_then():
    assert all_required({"type": "object", "properties": {"a": TEXT}, "required": ["a"], "additionalProperties": False})
    assert not all_required({"type": "object", "properties": {"a": TEXT}, "additionalProperties": False})
    assert not all_required({"type": "object", "properties": {"a": TEXT}, "required": ["a"]})
    assert not all_required({"type": "array", "items": {"type": "object"}})


@given(st.text(max_size=40))
def test_arguments_are_an_object_or_refused_whatever_the_model_writes(raw):
    schemas = {"t": {"name": "t", "parameters": {"type": "object"}}}
    try:
        canonical = check_arguments("t", raw, schemas)  # type: ignore[arg-type]
    except Invalid:
        return
    assert isinstance(json.loads(canonical), dict)


def test_long_numbers_stay_what_they_are():
    schemas = {"t": {"name": "t", "parameters": {"type": "object"}}}
    raw = '{"account":123456789012345678901234567890,"rate":0.1}'
    assert check_arguments("t", raw, schemas) == raw  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", ["[" * 100_000, "1e999", "-Infinity", '"\\ud800"', "{'a': 1}", "{} {}", "\x00"])
def test_hostile_json_is_refused_quietly(raw):
    with pytest.raises(Invalid, match="not valid JSON"):
        parse_json(raw, what="It")
