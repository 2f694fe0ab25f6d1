"""JSON that leaves: whatever is in it, it stays JSON of the same shape, and what may not leave does not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.review.json_values import look_at_json
from agents.review.thoughts import WithoutThoughts
from agents.review.verdict import Surroundings
from agents.reviewer import Reviewer
from agents.settings import ReviewSettings

KEY = "sk-proj-abcdefghijklmnop0123456789"
REVIEWER = Reviewer(ReviewSettings(), canary="kestrel-4711-harbour")
PLAIN = st.text(alphabet=st.characters(categories=("Lu", "Ll", "Nd"), max_codepoint=0x24F), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**8), 10**8) | PLAIN | st.just(f"the key is {KEY}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)


def look(raw: str):
    return look_at_json(raw, REVIEWER.look, Surroundings())


@given(VALUES)
def test_it_stays_json_of_the_same_shape_and_no_credential_is_left(value):
    raw = json.dumps(value, ensure_ascii=False)
    verdict = look(raw)
    assert KEY not in verdict.text
    assert verdict.action == ("mask" if KEY in raw else "release")
    expected = json.loads(raw.replace(KEY, "[secret removed]"))
    assert json.loads(verdict.text) == expected
    if verdict.action == "release":
        assert verdict.text == raw


@pytest.mark.parametrize(
    "raw",
    [
        '{"a": "' + KEY,  # cut off: nothing can be masked in it
        '{"a": "\\u0073k-proj-abcdefghijklmnop0123456789',
        '{"' + KEY + '": 1}',
        '{"n": 4111111111111111}',
        '{"a": "kestrel-", "b": "4711 harbour"}',
        "[" * 100_000 + f'"{KEY}"',
    ],
)
def test_what_cannot_be_masked_is_withheld(raw):
    assert look(raw).action == "withhold"


def test_what_was_cut_off_and_holds_nothing_leaves_as_it_is():
    assert look('{"a": "half a sen').text == '{"a": "half a sen'


def test_a_long_string_is_masked_where_it_must_be_and_takes_no_time_that_others_wait_for():
    words = "[[a](b) " * 20_000
    verdict = look(json.dumps({"text": f"{words}{KEY}{words}"}))
    assert KEY not in json.loads(verdict.text)["text"]


def test_a_field_that_is_written_twice_hides_nothing():
    verdict = look(f'{{"a": "{KEY}", "a": "fine"}}')
    assert json.loads(verdict.text) == {"a": "fine"}
    assert KEY not in verdict.text


def test_a_fields_name_says_what_its_value_is():
    verdict = look('{"password": "Tr0ub4dor&3x", "colour": "Tr0ub4dor&3x"}')
    assert json.loads(verdict.text) == {"password": "[secret removed]", "colour": "Tr0ub4dor&3x"}


def test_escapes_hide_nothing():
    raw = '{"a": "\\u0073k-proj-abcdefghijklmnop0123456789", "b": "zero\\u200bwidth"}'
    assert json.loads(look(raw).text) == {"a": "[secret removed]", "b": "zerowidth"}


@given(
    st.sampled_from(["<think>Hm.</think>\n\nYes.", "Yes.", "  <thinking", "<think>Hm", "A <think>b</think> c"]),
    st.data(),
)
def test_thoughts_at_the_start_are_dropped_however_they_are_cut(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    thoughts = WithoutThoughts()
    left = "".join(thoughts.filter(piece) for piece in pieces) + thoughts.end()
    assert left == {"<think>Hm.</think>\n\nYes.": "Yes.", "<think>Hm": ""}.get(text, text)
