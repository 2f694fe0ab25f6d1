"""The small parts: arguments, results, breaker, names, mcp.json."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from signalbox.errors import UpstreamDown, UserFault
from toolbus.arguments import ArgumentCheck
from toolbus.breaker import CircuitBreaker
from toolbus.catalogue import bus_name, clean_text
from toolbus.mcp_json import load_mcp_json
from toolbus.results import clean
from toolbus.sources import SourceResult

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=40,
)


@given(JSON, st.integers(1024, 4096), st.integers(1, 5))
def test_a_clean_result_is_never_larger_than_its_limits(value: Any, max_bytes: int, max_rows: int) -> None:
    result = clean(SourceResult("", value), max_bytes=max_bytes, max_rows=max_rows)
    assert len(result.text.encode("utf-8", "replace")) <= max_bytes
    if isinstance(result.structured, dict):
        assert all(len(item) <= max_rows for item in result.structured.values() if isinstance(item, list))


@given(st.text(), st.integers(1024, 2048))
def test_a_clean_text_is_the_beginning_of_the_text(text: str, max_bytes: int) -> None:
    result = clean(SourceResult(text * 50), max_bytes=max_bytes, max_rows=5)
    assert len(result.text.encode("utf-8", "replace")) <= max_bytes


@pytest.mark.parametrize("filler", [0, 990, 1010, 1020, 4080, 4090])
def test_no_half_credential_is_left_at_a_cut(filler: int) -> None:
    text = "x" * filler + " ghp_" + "a1B2" * 9 + " end"
    for result in (SourceResult(text), SourceResult("", {"result": text}), SourceResult("", [text])):
        cleaned = clean(result, max_bytes=1024, max_rows=5)
        rest = cleaned.cut.rest if cleaned.cut and isinstance(cleaned.cut.rest, str) else ""
        assert "ghp_a1" not in cleaned.text + rest


def test_the_longest_list_is_cut_and_the_rest_is_kept() -> None:
    value = {"title": "t", "rows": [{"n": number} for number in range(50)], "columns": ["n"]}
    result = clean(SourceResult("", value), max_bytes=4096, max_rows=20)
    assert result.structured == {**value, "rows": value["rows"][:20], "truncated": True}
    assert result.cut is not None
    assert (result.cut.note, result.cut.rest) == (
        "Cut to size: the first 20 of 50 items of 'rows'.",
        value["rows"][20:],
    )


def test_a_reference_to_another_host_is_never_fetched() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}
    fault = ArgumentCheck(1000).fault("pin", schema, {"a": 1})
    assert fault.startswith("The tool's schema refers to something that is not in it ('http://127.0.0.1:9/")


def test_arguments_over_the_limit_are_refused() -> None:
    assert "at most 100 are accepted" in ArgumentCheck(100).fault("pin", {"type": "object"}, {"a": "x" * 200})


def test_an_unknown_argument_is_answered_with_the_known_ones() -> None:
    schema = {"type": "object", "properties": {"query": {}, "limit": {}}, "additionalProperties": False}
    assert ArgumentCheck(1000).fault("pin", schema, {"q": 1}).endswith("('q' was unexpected). Known: limit, query.")


@given(JSON)
def test_the_check_of_arguments_never_raises(value: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    fault = ArgumentCheck(1 << 20).fault("pin", schema, value)
    assert isinstance(fault, str)


SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}}, "required": ["a"]},
    {
        "properties": {"a": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]}},
        "additionalProperties": False,
    },
    {"$defs": {"n": {"enum": [1, "x", None]}}, "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/n"}}}},
    {"properties": {"a": {"type": "string", "pattern": "^(?!x)[a-c]+$", "format": "email"}}},
    {"properties": {"a": {"type": "number", "multipleOf": 0.5}}, "minProperties": 1},
]


@given(st.sampled_from(SCHEMAS), st.dictionaries(st.sampled_from("ab"), JSON, max_size=2))
def test_the_quick_validator_lets_through_what_the_thorough_one_does(schema: Any, arguments: dict[str, Any]) -> None:
    fault = ArgumentCheck(1 << 20).fault("pin", schema, arguments)
    assert (fault == "") is Draft202012Validator(schema).is_valid(arguments)


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_trial_through() -> None:
    now = [0.0]
    breaker = CircuitBreaker("x", failures=2, cool_down_s=10, clock=lambda: now[0])
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.check()
    breaker.failed()
    with pytest.raises(UpstreamDown, match="failed 2 times in a row"):
        breaker.check()
    now[0] = 11
    breaker.check()
    with pytest.raises(UpstreamDown):
        breaker.check()
    breaker.failed()
    assert breaker.open_for_s == 10
    now[0] = 22
    breaker.check()
    breaker.succeeded()
    breaker.check()


@given(st.text(min_size=1, max_size=200))
def test_names_on_the_bus_are_valid_for_every_model_api(tool: str) -> None:
    name = bus_name("server", tool)
    assert name.startswith("server__")
    assert len(name) <= 64
    assert all(character.isascii() and (character.isalnum() or character in "_-") for character in name)


def test_names_that_differ_stay_different() -> None:
    assert bus_name("s", "a.b") != bus_name("s", "a/b") != bus_name("s", "a_b")
    assert bus_name("s", "x" * 80 + "1") != bus_name("s", "x" * 80 + "2")


def test_invisible_characters_of_a_strangers_text_are_stripped() -> None:
    assert clean_text("a\u200bb\u202ec\x1b[31m\U000e0041d\n", 100) == "abc[31md\n"
    assert clean_text("a" * 20, 10) == "a" * 9 + "…"


def test_the_file_of_ide_clients_is_read_with_secrets_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    servers = {
        "GitHub": {"command": "npx", "args": ["-y", "server"], "env": {"TOKEN": "${GH_TOKEN}"}, "cwd": "sub"},
        "weather api": {"type": "http", "url": "https://w.example/mcp", "headers": {"X-Key": "${KEY:-none}"}},
        "off": {"command": "x", "disabled": True},
    }
    file.write_text(json.dumps({"mcpServers": servers}))
    github, weather = load_mcp_json(file, {"GH_TOKEN": "t0ken"})
    assert (github.name, github.command, github.args, github.ours) == ("github", "npx", ("-y", "server"), False)
    assert github.env["TOKEN"].get_secret_value() == "t0ken"
    assert github.cwd == str(tmp_path / "sub")
    assert (weather.name, weather.transport, weather.url) == ("weather-api", "http", "https://w.example/mcp")
    assert weather.headers["X-Key"].get_secret_value() == "none"
    assert "t0ken" not in repr(github)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"mcpServers": {\n  "a": }}', "mcp.json is not JSON: Expecting value at line 2, column 8."),
        ("[]", "mcp.json must be one JSON object."),
        ("{}", "mcp.json has no object 'mcpServers'."),
        ('{"mcpServers": {"a": {}}}', "mcpServers.a: the stdio server 'a' needs a command"),
        ('{"mcpServers": {"a": {"command": 3}}}', "mcpServers.a.command: Input should be a valid string"),
        ('{"mcpServers": {"a": {"comand": "x"}}}', "mcpServers.a.comand: Extra inputs are not permitted"),
        (
            '{"mcpServers": {"a": {"command": "${NOPE}"}}}',
            "mcpServers.a.command: the environment variable 'NOPE' is not set",
        ),
        ('{"mcpServers": {"a": {"type": "sse", "url": "http://x"}}}', "mcpServers.a.type: the 'sse' transport"),
        ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "needs a url that begins with http"),
        ('{"mcpServers": {"Desk": {"command": "x"}}}', "'desk' is the name of a server of ours"),
        ('{"mcpServers": {"a b": {"command": "x"}, "A-B": {"command": "x"}}}', "'a-b' is there twice"),
        ('{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}', "has the key 'a' twice"),
    ],
)
def test_a_bad_file_is_refused_with_the_line_or_the_field(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mcp.json"
    file.write_text(text)
    with pytest.raises(UserFault) as caught:
        load_mcp_json(file, {}, reserved=("desk",))
    assert told in str(caught.value)


@given(st.text(max_size=200) | JSON.map(json.dumps) | JSON.map(lambda value: json.dumps({"mcpServers": {"a": value}})))
def test_any_file_is_read_or_refused_in_words(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mcp.json"
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load_mcp_json(file, {})
        except UserFault as error:
            assert error.message
