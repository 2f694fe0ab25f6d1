"""Schemas as they are sent to a model server, and the check of what comes back against the schemas as they are.

A server's grammar is a help, never the proof: every argument object and every structured answer is validated here.
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from autogen_core.tools import Tool, ToolSchema
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.exceptions import ValidationError as Misfit
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from pydantic import BaseModel, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from signalbox.errors import UserFault

_MAX_ARGUMENT_BYTES = 256 * 1024
_LABEL_LENGTH = 64
_CHILDREN = ("items", "additionalProperties", "contains")
_CHILD_LISTS = ("prefixItems",)
_CHILD_MAPS = ("properties", "$defs", "definitions", "patternProperties")
_SAME_INSTANCE = ("anyOf", "oneOf", "allOf")
_OPEN = frozenset({*_SAME_INSTANCE, "if", "$ref", "dependentSchemas", "patternProperties", "unevaluatedProperties"})


class Invalid(Exception):
    """What a model wrote does not fit; the message is written for the model."""


def tool_schemas(tools: Sequence[Tool | ToolSchema]) -> list[ToolSchema]:
    """The schema of each tool, whichever form it came in."""
    return [tool if isinstance(tool, dict) else tool.schema for tool in tools]


def wire_tool(schema: ToolSchema, *, loose_strings: bool, lenient: bool = True) -> dict[str, Any]:
    """A tool in wire form, strict: without `strict` a server does not enforce the arguments' schema.

    lenient: whether the server takes `strict` with optional properties (vLLM does, OpenAI's own API refuses them).
    """
    parameters = _closed(orjson.dumps(schema.get("parameters") or {"type": "object", "properties": {}}), loose_strings)
    function = {
        "name": schema["name"],
        "description": schema.get("description", ""),
        "parameters": parameters,
        "strict": lenient or all_required(parameters),
    }
    return {"type": "function", "function": function}


def wire_format(model: type[BaseModel], *, loose_strings: bool, lenient: bool = True) -> dict[str, Any]:
    """`response_format` for a structured answer."""
    schema = _closed(orjson.dumps(_schema_of(model)), loose_strings)
    strict = lenient or all_required(schema)
    return {"type": "json_schema", "json_schema": {"name": model.__name__, "strict": strict, "schema": schema}}


def all_required(schema: Any) -> bool:
    """Whether every object in a schema is closed and requires all its properties."""
    if isinstance(schema, list):
        return all(map(all_required, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
    elif schema.get("type") == "object":
        return False
    return all(map(all_required, schema.values()))


@lru_cache(maxsize=128)
def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


@lru_cache(maxsize=1024)
def _closed(schema: bytes, loose_strings: bool) -> Any:
    # Shared between calls: treated as read-only from here on.
    return close_schema(orjson.loads(schema), loose_strings=loose_strings)


def close_schema(schema: Any, *, loose_strings: bool, beside: bool = False) -> Any:
    """A copy in which no object takes properties that it does not name, unless its schema says that it does.

    An object that is described in several places at once (`allOf`, `anyOf` beside `properties`, …) stays open: each
    place would forbid what the others name.

    loose_strings: also drop the bounds of long strings. xgrammar compiles a bounded string to one without any
    escape (no quote, no line break), which cripples prose; short labels stay bounded.
    beside: this schema is one of several for the same object.
    """
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for key, value in schema.items():
        if key in _CHILDREN:
            out[key] = close_schema(value, loose_strings=loose_strings)
        elif key in _CHILD_LISTS and isinstance(value, list):
            out[key] = [close_schema(item, loose_strings=loose_strings) for item in value]
        elif key in _CHILD_MAPS and isinstance(value, dict):
            out[key] = {name: close_schema(item, loose_strings=loose_strings) for name, item in value.items()}
        elif key in _SAME_INSTANCE and isinstance(value, list):
            shared = beside or key == "allOf" or "properties" in schema
            out[key] = [close_schema(item, loose_strings=loose_strings, beside=shared) for item in value]
    if "properties" in out and "additionalProperties" not in out and not beside and not _OPEN & out.keys():
        out["additionalProperties"] = False
    if loose_strings and out.get("type") == "string" and out.get("maxLength", 0) > _LABEL_LENGTH:
        out.pop("maxLength")
        out.pop("minLength", None)
    return out


def check_arguments(name: str, raw: str, schemas: Mapping[str, ToolSchema]) -> str:
    """The arguments of one call, validated and in canonical JSON; raises `Invalid`."""
    schema = schemas.get(name)
    if schema is None:
        raise Invalid(f"There is no tool {name!r}. The tools are: {', '.join(sorted(schemas))}.")
    if len(raw) > _MAX_ARGUMENT_BYTES:
        raise Invalid(f"The arguments of {name!r} are larger than {_MAX_ARGUMENT_BYTES} bytes.")
    value = parse_json(raw or "{}", what=f"The arguments of {name!r}")
    if not isinstance(value, dict):
        raise Invalid(f"The arguments of {name!r} must be a JSON object, not {_kind(value)}.")
    validator = _validator(orjson.dumps(schema.get("parameters") or {}))
    try:
        problems = sorted(validator.iter_errors(value), key=lambda problem: problem.json_path)[:5]
    except Unresolvable as error:
        raise UserFault(f"The schema of tool {name!r} refers to {error.ref!r}, which it does not contain.") from error
    if problems:
        raise Invalid(f"The arguments of {name!r} do not fit its schema: {_told(problems)}")
    return canonical_json(value)


def check_structured(model: type[BaseModel] | None, raw: str) -> str:
    """A structured answer, validated and in canonical JSON; without a model, any JSON object. Raises `Invalid`."""
    value = parse_json(_unfenced(raw), what="The reply")
    if model is None:
        if not isinstance(value, dict):
            raise Invalid(f"The reply must be a JSON object, not {_kind(value)}.")
        return canonical_json(value)
    canonical = canonical_json(value)
    try:
        model.model_validate_json(canonical)
    except ValueError as error:  # pydantic's ValidationError, and what validators raise
        raise Invalid(f"The reply does not fit the schema: {_pydantic_told(error)}") from error
    return canonical


def parse_json(raw: str, *, what: str) -> Any:
    """JSON as the standard has it: no NaN, no infinity, nothing that cannot be written back as it was.

    Not orjson: it turns long integers into floats. Raw control characters in strings are tolerated: xgrammar lets a
    model write them, and refusing them would cost a repeat for a tab.
    """
    try:
        value = json.loads(raw, strict=False, parse_constant=_refuse, parse_float=_finite)
        canonical_json(value)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{what} is not valid JSON: {str(error)[:200] or type(error).__name__}.") from error
    return value


def canonical_json(value: Any) -> str:
    """JSON in one spelling, valid as UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text.encode()  # a lone surrogate is a ValueError here
    return text


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large")
    return number


def _unfenced(raw: str) -> str:
    text = raw.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") + 1 : -3].strip()
    return text


@lru_cache(maxsize=1024)
def _validator(schema: bytes) -> Validator:
    parsed = orjson.loads(schema)
    kind = validator_for(parsed, default=Draft202012Validator)
    try:
        kind.check_schema(parsed)
    except SchemaError as error:
        raise UserFault(f"A tool's input schema is not valid JSON Schema: {error.message}.") from error
    # An empty registry: a tool's schema must not make us fetch URLs.
    return kind(parsed, registry=Registry())


def _told(problems: Sequence[Misfit]) -> str:
    return "; ".join(f"{problem.json_path}: {problem.message[:300]}" for problem in problems) + "."


def _pydantic_told(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return f"{error}"[:600]
    told = [f"{'.'.join(map(str, item['loc'])) or '$'}: {item['msg']}" for item in error.errors(include_url=False)[:5]]
    return "; ".join(told) + "."


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
