"""Replies that must fit a JSON schema: a plan where the schema is one, else what can be filled with certainty."""

import json
from collections.abc import Mapping
from typing import Any

from inference.embedded.arguments.filler import Words, fill
from inference.embedded.joining import Routing, uses_findings
from inference.embedded.prompt_reader import Prompt
from inference.embedded.schemas import Schema, resolve

_RELEASE = ("release", "pass", "allow", "approve", "ok", "accept", "safe", "permit")


def is_plan(schema: Schema) -> bool:
    """Whether the schema wants steps for specialists."""
    steps = resolve(schema, schema).get("properties", {}).get("steps", {})
    return {"specialist", "task"} <= set(steps.get("items", {}).get("properties", {}))


def plan_of(routing: Routing, *, max_steps: int = 8) -> dict[str, Any]:
    """The plan as JSON: questions run side by side, an action waits for what it speaks of."""
    steps: list[dict[str, Any]] = []
    found: list[str] = []
    for route in routing.routes:
        for specialist in route.specialists:
            step_id = f"s{len(steps) + 1}"
            needs = list(found) if uses_findings(route) else []
            steps.append({"id": step_id, "specialist": specialist, "task": route.task[:2000], "needs": needs})
        if not route.is_action:
            found = [step["id"] for step in steps[-len(route.specialists) :]]
    said = {"question": routing.question, "assumptions": list(routing.assumptions)}
    return {"steps": steps[:max_steps], "reply": routing.reply, **{name: text for name, text in said.items() if text}}


def verdict_of(schema: Schema) -> dict[str, Any]:
    """The reviewer's conservative pass: code checks what leaves; this model judges nothing that it cannot judge."""
    value: dict[str, Any] = {}
    root = resolve(schema, schema)
    for name, part in root.get("properties", {}).items():
        allowed = [each for each in part.get("enum", ()) if str(each).lower() in _RELEASE]
        if allowed:
            value[name] = allowed[0]
        elif name in root.get("required", ()):
            value[name] = _neutral(part)
    return value


def fill_schema(schema: Schema, prompt: Prompt) -> dict[str, Any]:
    """What the message holds for a schema that is not ours; required fields that it lacks get a neutral value."""
    root = resolve(schema, schema)
    filled = fill(root, Words(prompt.wish, prompt.now))
    return {**filled.arguments, **{name: _neutral(root["properties"][name]) for name in filled.missing}}


def _neutral(part: Mapping[str, Any]) -> Any:
    if "default" in part:
        return part["default"]
    if part.get("enum"):
        return part["enum"][0]
    if part.get("oneOf"):
        return _neutral(part["oneOf"][0])
    kind = part.get("type", "string")
    if kind == "object":
        return {name: _neutral(part["properties"][name]) for name in part.get("required", ())}
    if kind in ("integer", "number"):
        return part.get("minimum", 0)
    return {"array": [], "boolean": False, "null": None}.get(kind, "")


def dumps(value: Mapping[str, Any]) -> str:
    """Compact JSON, every letter as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
