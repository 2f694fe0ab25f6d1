"""The input schema of `query_metric`: one closed variant per metric, all inline, nothing that changes by the day.

Guided decoding (vLLM) and the embedded engine read it, so there is no `$ref`, every variant has a description, and
known values are enums.
"""

from collections.abc import Mapping
from typing import Any

from mcp_servers.operations.catalogue import Catalogue, Metric, Parameter
from mcp_servers.operations.parameters import Choices

MAX_ENUM = 60
AllChoices = Mapping[str, Mapping[str, Choices]]


def query_schema(catalogue: Catalogue, choices: AllChoices) -> dict[str, Any]:
    """`{"query": oneOf}`, discriminated by the constant `metric`."""
    variants = [_variant(name, metric, choices.get(name, {})) for name, metric in catalogue.metrics.items()]
    return {
        "type": "object",
        "properties": {
            "query": {
                "description": "One metric with its parameters. Leave out parameters that the question does not name.",
                "oneOf": variants,
                "discriminator": {"propertyName": "metric"},
            },
            "cursor": {
                "type": "string",
                "description": "next_cursor of an earlier result of the same query, for its next rows.",
            },
        },
        "required": ["query"],
        "additionalProperties": False,
    }


def _variant(name: str, metric: Metric, choices: Mapping[str, Choices]) -> dict[str, Any]:
    properties: dict[str, Any] = {"metric": {"type": "string", "const": name, "description": metric.title}}
    for key, parameter in metric.parameters.items():
        properties[key] = _property(parameter, choices.get(key))
    return {
        "type": "object",
        "title": metric.title,
        "description": metric.description,
        "examples": list(metric.examples),
        "properties": properties,
        "required": ["metric", *(key for key, parameter in metric.parameters.items() if parameter.required)],
        "additionalProperties": False,
    }


def _property(parameter: Parameter, choices: Choices | None) -> dict[str, Any]:
    description = parameter.description
    if parameter.default_means:
        description = f"{description.rstrip('.')}. Default: {parameter.default_means}."
    made: dict[str, Any] = {"type": "integer" if parameter.type == "integer" else "string", "description": description}
    if parameter.type == "date":
        made["examples"] = ["2026-10-01", "2026-10"]
    if parameter.type == "integer":
        made |= {k: v for k, v in (("minimum", parameter.minimum), ("maximum", parameter.maximum)) if v is not None}
        if parameter.default is not None:
            made["default"] = parameter.default
    if choices is not None and 0 < len(choices.spellings) <= MAX_ENUM:
        made["enum"] = list(choices.spellings)
    elif choices is not None:
        made["examples"] = list(choices.values[:5])
    if parameter.examples:
        made["examples"] = list(parameter.examples)
    return made
