"""Arguments made up from a schema: valid ones to try a tool with, and invalid ones that it ought to refuse."""

from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 6
_FORMATS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:00:00Z",
    "time": "09:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}


def valid(schema: Mapping[str, Any], *, full: bool) -> dict[str, Any]:
    """The required arguments, or all of them. A pattern or an unusual rule may still be missed: validate it."""
    value = _value(schema, schema, full, 0)
    return value if isinstance(value, dict) else {}


def invalid(schema: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Arguments that break the schema in one way each, with that way in words."""
    base = valid(schema, full=False)
    broken: list[tuple[str, dict[str, Any]]] = []
    for name in schema.get("required", ()):
        broken.append((f"without the required {name!r}", {key: base[key] for key in base if key != name}))
        break
    for name, part in schema.get("properties", {}).items():
        kind = _resolve(schema, part).get("type")
        if kind in ("integer", "number", "boolean", "array", "object"):
            broken.append((f"with a text as {name!r}", {**base, name: "not of this type"}))
            break
        if kind == "string":
            broken.append((f"with an object as {name!r}", {**base, name: {"not": "a text"}}))
            break
    return broken


def _value(root: Mapping[str, Any], schema: Any, full: bool, depth: int) -> Any:
    schema = _resolve(root, schema)
    given = [schema[key] for key in ("const", "default") if key in schema]
    given += [schema[key][0] for key in ("examples", "enum") if schema.get(key)]
    if given:
        return given[0]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return _value(root, choices[0], full, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    match kind:
        case "object":
            return _object(root, schema, full, depth)
        case "array":
            count = max(int(schema.get("minItems", 0)), 1 if full and depth < _MAX_DEPTH else 0)
            return [_value(root, schema.get("items", {}), full, depth + 1) for _ in range(min(count, 5))]
        case "integer" | "number":
            return _number(schema, kind)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            text = _FORMATS.get(schema.get("format", ""), "example")
            return text.ljust(int(schema.get("minLength", 0)), "x")[: int(schema.get("maxLength", 200))]


def _object(root: Mapping[str, Any], schema: Mapping[str, Any], full: bool, depth: int) -> dict[str, Any]:
    required = schema.get("required", ())
    wanted = [name for name in schema.get("properties", {}) if name in required or (full and depth < _MAX_DEPTH)]
    return {name: _value(root, schema["properties"][name], full, depth + 1) for name in wanted}


def _number(schema: Mapping[str, Any], kind: str) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else None)
    high = schema.get("maximum", schema.get("exclusiveMaximum", 0) - 1 if "exclusiveMaximum" in schema else None)
    value = low if low is not None else min(1, high) if high is not None else 1
    step = schema.get("multipleOf")
    if step:
        value = -(-value // step) * step
    return int(value) if kind == "integer" else value


def _resolve(root: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return schema
        target: Any = root
        for part in reference[2:].split("/"):
            target = target.get(part, {}) if isinstance(target, Mapping) else {}
        schema = target
    return {}
