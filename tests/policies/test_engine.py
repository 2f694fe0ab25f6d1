"""The rules that ship decide as their cases say, and the engine fails closed."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import policies
from policies.engine import Effect, PolicyError, Rule, ToolPolicy, ToolRequest

HOME = Path(policies.__file__).parent
CASES = yaml.safe_load((HOME / "tests" / "tools.yaml").read_text())["cases"]
POLICY = ToolPolicy.load(HOME / "tools.yaml")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_shipped_rules_decide_as_their_cases_say(case: dict) -> None:
    verdict = POLICY.decide(ToolRequest(**case["request"]))
    assert (verdict.effect, list(verdict.rule_ids)) == (case["effect"], case["rules"])


def test_every_shipped_rule_has_a_case() -> None:
    assert {rule.id for rule in POLICY.rules} <= {rule for case in CASES for rule in case["rules"]}


def rule(effect: Effect, *tools: str, id: str = "", **who: frozenset[str]) -> Rule:
    return Rule(id=id or f"a.{effect}", tools=tools, effect=effect, reason="a reason of some length", **who)


def asked(tool: str, *, read_only: bool = False, **who: frozenset[str]) -> ToolRequest:
    return ToolRequest(tool=tool, read_only=read_only, user="ada", **who)


def test_forbid_wins_over_everything_that_applies() -> None:
    policy = ToolPolicy([rule(Effect.PERMIT, "a__b"), rule(Effect.FORBID, "a__*")])
    assert policy.decide(asked("a__b")).rule_ids == ("a.forbid",)


def test_a_rule_for_the_server_never_permits_a_consequential_tool() -> None:
    policy = ToolPolicy([rule(Effect.PERMIT, "a__*")])
    assert policy.decide(asked("a__b", read_only=True)).effect is Effect.PERMIT
    assert policy.decide(asked("a__b")).effect is Effect.ASK


def test_a_named_tool_is_governed_by_the_rules_that_name_it() -> None:
    finance = frozenset({"finance"})
    policy = ToolPolicy([rule(Effect.ASK, "a__*"), rule(Effect.PERMIT, "a__pay", groups=finance)])
    assert policy.decide(asked("a__pay", groups=finance)).effect is Effect.PERMIT
    assert policy.decide(asked("a__pay")).rule_ids == ("default.deny",)


def test_all_scopes_of_a_rule_are_needed_and_any_of_its_groups() -> None:
    policy = ToolPolicy([rule(Effect.PERMIT, "a__b", scopes=frozenset("xy"), groups=frozenset("gh"))])
    assert policy.decide(asked("a__b", scopes=frozenset("xyz"), groups=frozenset("h"))).effect is Effect.PERMIT
    assert policy.decide(asked("a__b", scopes=frozenset("x"), groups=frozenset("h"))).effect is Effect.FORBID
    assert policy.decide(asked("a__b", scopes=frozenset("xy"))).effect is Effect.FORBID


@given(st.from_regex(r"[a-z]{1,8}__[a-z_]{1,8}", fullmatch=True), st.booleans())
def test_without_rules_everything_is_denied(tool: str, read_only: bool) -> None:
    assert ToolPolicy([]).decide(asked(tool, read_only=read_only)).effect is Effect.FORBID


@given(st.lists(st.sampled_from(["a__b", "a__*", "c__d"]), min_size=1, max_size=4), st.booleans())
def test_adding_a_prohibition_never_widens_what_is_allowed(tools: list[str], read_only: bool) -> None:
    rules = [rule(Effect.PERMIT, tool, id=f"rule.{index}") for index, tool in enumerate(tools)]
    request = asked("a__b", read_only=read_only)
    verdict = ToolPolicy([*rules, rule(Effect.FORBID, "a__b", id="the.last")]).decide(request)
    assert verdict.effect is Effect.FORBID


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rules: [", "is not YAML"),
        ("rules: 3", "rules: Input should be a valid tuple"),
        ("rules: [{id: a.b, tools: [a__b], effect: allow, reason: long enough here}]", "rules.0.effect"),
        ("rules: [{id: a.b, tools: [a__b], effect: permit}]", "rules.0.reason: Field required"),
        ("rules: [{id: a.b, tools: [a__b], effect: permit, reason: short}]", "rules.0.reason"),
        ("rules: [{id: a.b, tools: ['*'], effect: permit, reason: long enough here}]", "rules.0.tools.0"),
        ("rules: [{id: a.b, tools: [a__b], effect: permit, reason: long enough here, user: x}]", "rules.0.user"),
    ],
)
def test_a_file_that_is_not_sound_is_refused_with_its_fault(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "tools.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError, match=r"tools\.yaml") as caught:
        ToolPolicy.load(file)
    assert told in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        ToolPolicy.load(tmp_path / "none.yaml")


def test_an_id_is_used_once_over_all_files() -> None:
    with pytest.raises(PolicyError, match=r"two rules have the id 'a\.permit'"):
        ToolPolicy([rule(Effect.PERMIT, "a__b"), rule(Effect.PERMIT, "c__d")])


def test_the_version_follows_the_rules_not_their_order() -> None:
    one, two = rule(Effect.PERMIT, "a__b"), rule(Effect.ASK, "c__d")
    assert ToolPolicy([one, two]).version == ToolPolicy([two, one]).version
    assert ToolPolicy([one, two]).version != ToolPolicy([one]).version
