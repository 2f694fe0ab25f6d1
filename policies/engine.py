"""May this principal call this tool? A default-deny engine over rules in YAML.

A rule names tools exactly (`desk__create_ticket`) or a whole reviewed server (`desk__*`), who it is for, its effect
and its reason. Of the rules that apply to the principal, any `forbid` wins. Else: a tool that any rule names exactly
is governed by the rules that name it, and no longer by those for its whole server. Among equals `ask` beats `permit`.
A rule for a whole server never permits a consequential tool (one that is not read-only): that becomes `ask`.
No rule at all: denied, unless the operator approved the very tool.
"""

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Protocol

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{2,60}$")]
ToolName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}__(\*|[A-Za-z0-9_-]{1,64})$")]
Reason = Annotated[str, StringConstraints(min_length=10, strip_whitespace=True)]


class Effect(StrEnum):
    """What becomes of a call."""

    PERMIT = "permit"
    ASK = "ask"
    FORBID = "forbid"


class ToolRequest(BaseModel):
    """The facts about one call that a decision may rest on; none of them comes from a model."""

    model_config = ConfigDict(frozen=True)

    tool: str
    read_only: bool
    user: str
    tenant: str = "default"
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    agents: tuple[str, ...] = ()
    reviewed: bool = Field(default=False, description="An operator approved this very tool, by name and pin.")
    release: str = Field(default="", description="The release that acts; empty: whichever is live.")


class Verdict(BaseModel):
    """The decision, the rules that made it, and their reason in words fit for the user."""

    model_config = ConfigDict(frozen=True)

    effect: Effect
    rule_ids: tuple[str, ...]
    reason: str
    version: str = Field(default="", description="The rules that decided, where several are in force at once.")


class Policy(Protocol):
    """Whatever decides about tool calls."""

    @property
    def version(self) -> str:
        """Names the rules in force; changes whenever they do."""
        ...

    def decide(self, request: ToolRequest) -> Verdict:
        """The verdict on one call; never raises, never waits."""
        ...


class PolicyError(ValueError):
    """A policy file that must not be used; the message names the file and the fault."""


class Rule(BaseModel):
    """One line of policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: RuleId
    tools: tuple[ToolName, ...] = Field(min_length=1)
    effect: Effect
    groups: frozenset[str] = Field(default=frozenset(), description="Any of these; empty means everyone.")
    scopes: frozenset[str] = Field(default=frozenset(), description="All of these.")
    reason: Reason

    def applies_to(self, request: ToolRequest) -> bool:
        """Whether this rule is about the principal; the tool's name is checked by the index."""
        return (not self.groups or bool(self.groups & request.groups)) and self.scopes <= request.scopes


class _RuleFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: tuple[Rule, ...]


class ToolPolicy:
    """A `Policy` made of rules."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        seen: set[str] = set()
        for rule in self._rules:
            if rule.id in seen:
                raise PolicyError(f"two rules have the id {rule.id!r}; ids are unique over all files")
            seen.add(rule.id)
        self._exact: dict[str, list[Rule]] = {}
        for rule in self._rules:
            for name in rule.tools:
                self._exact.setdefault(name, []).append(rule)
        canonical = "\n".join(rule.model_dump_json() for rule in sorted(self._rules, key=lambda rule: rule.id))
        self._version = hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @classmethod
    def load(cls, *paths: Path) -> "ToolPolicy":
        """The rules of all files together; raises `PolicyError` when any of them is not sound."""
        return cls([rule for path in paths for rule in _read(path)])

    @classmethod
    def parse(cls, data: bytes, name: str) -> "ToolPolicy":
        """The rules of one file that was read already."""
        return cls(_parse(data, name))

    @property
    def rules(self) -> Sequence[Rule]:
        """Every rule, in the order of the files."""
        return self._rules

    @property
    def version(self) -> str:
        """The first 16 hex digits of the rules' sha256."""
        return self._version

    def decide(self, request: ToolRequest) -> Verdict:
        """The verdict on one call."""
        server = request.tool.partition("__")[0]
        named = [rule for rule in self._exact.get(request.tool, ()) if rule.applies_to(request)]
        general = [rule for rule in self._exact.get(f"{server}__*", ()) if rule.applies_to(request)]
        forbidding = [rule for rule in (*named, *general) if rule.effect is Effect.FORBID]
        if forbidding:
            return _verdict(Effect.FORBID, forbidding)
        if request.tool in self._exact:
            asking = [rule for rule in named if rule.effect is Effect.ASK]
            if asking:
                return _verdict(Effect.ASK, asking)
            return _verdict(Effect.PERMIT, named) if named else _denied(request)
        if general:
            asking = [rule for rule in general if rule.effect is Effect.ASK]
            consequential = not request.read_only
            return _verdict(Effect.ASK if asking or consequential else Effect.PERMIT, asking or general)
        return _default(request)


def _default(request: ToolRequest) -> Verdict:
    if not request.reviewed:
        return _denied(request)
    if request.read_only:
        return Verdict(
            effect=Effect.PERMIT, rule_ids=("default.reviewed-read",), reason="The operator approved this tool."
        )
    return Verdict(
        effect=Effect.ASK,
        rule_ids=("default.reviewed-write",),
        reason="The operator approved this tool; it changes things, so a person confirms each call.",
    )


def _denied(request: ToolRequest) -> Verdict:
    reason = f"No rule lets {request.user!r} use {request.tool!r}."
    return Verdict(effect=Effect.FORBID, rule_ids=("default.deny",), reason=reason)


def _verdict(effect: Effect, rules: Sequence[Rule]) -> Verdict:
    return Verdict(effect=effect, rule_ids=tuple(rule.id for rule in rules), reason=rules[0].reason)


def _read(path: Path) -> tuple[Rule, ...]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"the policy file {path.name!r} cannot be read: {error.strerror}") from error
    return _parse(data, path.name)


def _parse(data: bytes, name: str) -> tuple[Rule, ...]:
    try:
        return _RuleFile.model_validate(yaml.safe_load(data)).rules
    except yaml.YAMLError as error:
        raise PolicyError(f"the policy file {name!r} is not YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise PolicyError(f"the policy file {name!r} is not sound: {faults}") from error
