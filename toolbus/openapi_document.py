"""An OpenAPI 3 description, reduced to the operations that the settings list: what each takes, and where it goes."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from signalbox.errors import UserFault
from toolbus.sources import DeclaredTool

Place = Literal["path", "query", "header", "body"]

_METHODS = ("get", "put", "post", "delete", "patch", "head")
_REFERENCE = "#/components/schemas/"
_MAX_REFERENCES = 200
# Headers that a model must not set: they decide who we are and how the message is framed.
_RESERVED_HEADERS = frozenset(
    {"authorization", "cookie", "host", "content-length", "content-type", "transfer-encoding"}
)


@dataclass(frozen=True)
class Operation:
    """One operation: how its arguments become a request."""

    tool: DeclaredTool
    method: str
    path: str
    places: Mapping[str, tuple[Place, str]]


def parse(text: str, name: str) -> dict[str, Any]:
    """The description as an object; raises `UserFault` when it is not one of OpenAPI 3."""
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UserFault(f"The OpenAPI description of {name!r} is neither JSON nor YAML: {str(error)[:200]}.") from error
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise UserFault(f"The OpenAPI description of {name!r} is not of version 3.", hint="Convert it first.")
    return document


def operations(document: dict[str, Any], wanted: tuple[str, ...], name: str) -> dict[str, Operation]:
    """The wanted operations by operationId; raises `UserFault` that names those that are not there."""
    found = {operation.tool.name: operation for operation in _operations(document, frozenset(wanted))}
    missing = [operation_id for operation_id in wanted if operation_id not in found]
    if missing:
        raise UserFault(f"The OpenAPI description of {name!r} has no operation {', '.join(map(repr, missing))}.")
    return found


def _operations(document: dict[str, Any], wanted: frozenset[str]) -> Iterator[Operation]:
    for path, item in (document.get("paths") or {}).items():
        if not isinstance(item, dict):
            continue
        for method in _METHODS:
            raw = item.get(method)
            if isinstance(raw, dict) and raw.get("operationId") in wanted:
                shared = item.get("parameters") or []
                yield _operation(
                    document, path, method, {**raw, "parameters": [*shared, *(raw.get("parameters") or [])]}
                )


def _operation(document: dict[str, Any], path: str, method: str, raw: dict[str, Any]) -> Operation:
    properties: dict[str, Any] = {}
    required: list[str] = []
    places: dict[str, tuple[Place, str]] = {}
    for parameter in raw["parameters"]:
        parameter = _resolved(document, parameter)  # noqa: PLW2901
        place, wire_name = parameter.get("in"), str(parameter.get("name", ""))
        if place not in ("path", "query", "header") or (place == "header" and wire_name.lower() in _RESERVED_HEADERS):
            continue
        argument = _argument_name(wire_name, places)
        places[argument] = (place, wire_name)
        properties[argument] = _described(parameter.get("schema") or {}, parameter.get("description"))
        if parameter.get("required") or place == "path":
            required.append(argument)
    body = _resolved(document, raw.get("requestBody") or {})
    schema = ((body.get("content") or {}).get("application/json") or {}).get("schema")
    if schema is not None:
        argument = _argument_name("body", places)
        places[argument] = ("body", "body")
        properties[argument] = _described(schema, body.get("description"))
        if body.get("required"):
            required.append(argument)
    input_schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    description = "\n".join(text for text in (raw.get("summary"), raw.get("description")) if text)
    tool = DeclaredTool(
        name=str(raw["operationId"]),
        description=description or f"{method.upper()} {path}",
        input_schema=_self_contained(document, input_schema),
        read_only=method in ("get", "head"),
        destructive=method not in ("get", "head"),
        idempotent=method in ("get", "head", "put", "delete"),
    )
    return Operation(tool=tool, method=method.upper(), path=path, places=places)


def _argument_name(wire_name: str, taken: Mapping[str, Any]) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]", "_", wire_name) or "argument"
    while name in taken:
        name += "_"
    return name


def _described(schema: Any, description: Any) -> Any:
    if isinstance(schema, dict) and description and "description" not in schema and "$ref" not in schema:
        return {**schema, "description": str(description)[:500]}
    return schema


def _resolved(document: dict[str, Any], value: Any) -> dict[str, Any]:
    """Follows a reference inside the document (to a parameter, a body); nothing outside of it is ever fetched."""
    for _ in range(8):
        if not isinstance(value, dict):
            return {}
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return value
        if not reference.startswith("#/"):
            raise UserFault(f"The OpenAPI description refers to {reference!r} outside of itself; that is not followed.")
        value = document
        for part in reference[2:].split("/"):
            value = value.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(value, dict) else {}
    return {}


def _self_contained(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in JSON Schema's own terms, with every schema that it refers to under `$defs`."""
    known = ((document.get("components") or {}).get("schemas")) or {}
    definitions: dict[str, Any] = {}
    pending = [_converted(schema)]
    result = pending[0]
    while pending:
        for reference in _references(pending.pop()):
            if reference in definitions or reference not in known or len(definitions) >= _MAX_REFERENCES:
                continue
            definitions[reference] = _converted(known[reference])
            pending.append(definitions[reference])
    return {**result, "$defs": definitions} if definitions else result


def _converted(schema: Any) -> Any:
    """OpenAPI 3.0's own words turned into JSON Schema: references, `nullable`, boolean exclusive bounds."""
    if isinstance(schema, list):
        return [_converted(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _converted(value) for key, value in schema.items() if key not in ("nullable", "example", "xml")}
    reference = result.get("$ref")
    if isinstance(reference, str) and reference.startswith(_REFERENCE):
        result["$ref"] = f"#/$defs/{reference.removeprefix(_REFERENCE)}"
    if schema.get("nullable") is True and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(result.get(exclusive), bool):
            strict = result.pop(exclusive)
            if strict and bound in result:
                result[exclusive] = result.pop(bound)
    return result


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _references(item)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            yield reference.removeprefix("#/$defs/")
        for value in schema.values():
            yield from _references(value)
