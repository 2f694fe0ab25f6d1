"""Arguments that a model wrote, checked against the tool's own schema before anything leaves the process.

Sound arguments are told by a compiled validator, within a microsecond. Only for the others, and for schemas that it
cannot compile, the slower one is asked, which finds the words (docs/decisions/0008-two-schema-validators.md).
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
from jsonschema.exceptions import ValidationError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

_MAX_FAULTS = 5


class ArgumentCheck:
    """Validates calls; compiled validators are kept by pin."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._compiled: dict[str, jsonschema_rs.Validator | None] = {}
        self._validators: dict[str, Any] = {}

    def fault(self, pin: str, schema: Mapping[str, Any], arguments: Any) -> str:
        """Everything that is wrong with the arguments, in words a model can act on; empty when they are sound."""
        if not isinstance(arguments, Mapping):
            return f"The arguments must be one JSON object, not {_kind(arguments)}."
        if path := next(_not_finite(arguments, ""), None):
            return f"The number at {path} is not finite; JSON has no such number."
        try:
            size = len(json.dumps(arguments).encode())
        except (TypeError, ValueError) as error:
            return f"The arguments are not JSON: {error}."
        if size > self._max_bytes:
            return f"The arguments are {size} bytes long; at most {self._max_bytes} are accepted."
        return "" if self._is_sound(pin, schema, arguments) else self._explained(pin, schema, arguments)

    def _is_sound(self, pin: str, schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
        """The quick answer; False means that it is not certain."""
        if pin not in self._compiled:
            self._compiled[pin] = _compiled(schema)
        compiled = self._compiled[pin]
        try:
            return compiled is not None and compiled.is_valid(arguments)
        except (ValueError, jsonschema_rs.ValidationError):  # more than it can hold: a number, a depth, an expression
            return False

    def _explained(self, pin: str, schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
        try:
            faults = sorted(
                self._validator(pin, schema).iter_errors(arguments), key=lambda fault: list(map(str, fault.path))
            )
        except Unresolvable as error:
            return (
                f"The tool's schema refers to something that is not in it ({error.ref!r}); the tool cannot be called."
            )
        if not faults:
            return ""
        lines = [_explain(fault, schema) for fault in faults[:_MAX_FAULTS]]
        if len(faults) > _MAX_FAULTS:
            lines.append(f"… and {len(faults) - _MAX_FAULTS} more.")
        return "The arguments do not fit the tool's schema:\n" + "\n".join(f"- {line}" for line in lines)

    def _validator(self, pin: str, schema: Mapping[str, Any]) -> Any:
        validator = self._validators.get(pin)
        if validator is None:
            # An empty registry: a `$ref` to another host must never make us fetch it.
            validator = validator_for(schema)(schema, registry=Registry())
            self._validators[pin] = validator
        return validator


def _compiled(schema: Mapping[str, Any]) -> jsonschema_rs.Validator | None:
    try:
        return jsonschema_rs.validator_for(dict(schema), validate_formats=False, retriever=_refuse)
    except (ValueError, jsonschema_rs.ValidationError):
        return None


def _refuse(uri: str) -> Any:
    raise ValueError(f"nothing is fetched for a schema ({uri!r})")


def _explain(fault: ValidationError, schema: Mapping[str, Any]) -> str:
    where = "/".join(map(str, fault.absolute_path)) or "the arguments"
    message = fault.message if len(fault.message) <= 300 else fault.message[:300] + "…"
    if fault.validator == "additionalProperties":
        known = (
            ", ".join(sorted(map(str, fault.schema.get("properties", {})))) if isinstance(fault.schema, Mapping) else ""
        )
        return f"{where}: {message}. Known: {known or 'none'}."
    if fault.validator == "required" and not fault.absolute_path:
        missing = fault.message.split("'")[1] if "'" in fault.message else ""
        wanted = schema.get("properties", {}).get(missing, {})
        hint = wanted.get("description") or wanted.get("type") or ""
        return f"{message}" + (f" ({hint})" if hint else "")
    return f"{where}: {message}"


def _not_finite(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path or "/"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _not_finite(item, f"{path}/{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _not_finite(item, f"{path}/{index}")


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), type(value).__name__)
