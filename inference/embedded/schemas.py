"""JSON schemas of tools, flattened: references followed, unions of objects taken apart into plain tools."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autogen_core.tools import Tool, ToolSchema

Schema = Mapping[str, Any]
_MAX_VARIANTS = 200
_MAX_DEPTH = 8


@dataclass(frozen=True)
class Offer:
    """One thing that can be called: a tool, or one variant of a tool whose argument is a union of objects."""

    tool: str
    description: str
    schema: Schema
    path: tuple[str, ...] = ()
    beside: Mapping[str, Any] = field(default_factory=dict)
    variant: str = ""
    examples: tuple[str, ...] = ()
    about: str = ""
    """What the tool itself says, where `description` is a variant's."""

    @property
    def server(self) -> str:
        """Where the tool lives, by the first part of its name."""
        return self.tool.split("__", 1)[0]

    @property
    def label(self) -> str:
        """The name in words, without the server's part."""
        return f"{self.tool.rsplit('__', 1)[-1]} {self.variant}".replace("_", " ").strip()

    def arguments(self, filled: Mapping[str, Any]) -> dict[str, Any]:
        """The tool's arguments around what was filled for this offer."""
        value: dict[str, Any] = dict(filled)
        for name in reversed(self.path):
            value = {**self.beside, name: value}
        return value


def offers_of(tools: Sequence[Tool | ToolSchema]) -> list[Offer]:
    """Every tool as plain offers; a union of objects yields one for each member."""
    offers: list[Offer] = []
    for tool in tools:
        schema: Mapping[str, Any] = tool if isinstance(tool, Mapping) else tool.schema
        parameters = schema.get("parameters") or {"type": "object", "properties": {}}
        root = resolve(parameters, parameters)
        offers.extend(_variants(str(schema["name"]), str(schema.get("description") or ""), root))
    return offers


def resolve(schema: Any, root: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """The schema with `$ref` and `allOf` followed and a nullable union reduced to what it holds besides null."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return {}
    merged: dict[str, Any] = dict(schema)
    reference = merged.pop("$ref", None)
    if isinstance(reference, str) and reference.startswith("#/"):
        merged = {**resolve(_at(root, reference), root, depth + 1), **merged}
    for part in merged.pop("allOf", ()):
        merged = {**resolve(part, root, depth + 1), **merged}
    if isinstance(merged.get("type"), list):
        kinds = [kind for kind in merged["type"] if kind != "null"]
        merged["type"] = kinds[0] if kinds else "null"
    for union in ("anyOf", "oneOf"):
        if isinstance(merged.get(union), list):
            members = [resolve(member, root, depth + 1) for member in merged.pop(union)]
            members = [member for member in members if member.get("type") != "null"]
            merged = {**members[0], **merged} if len(members) == 1 else {**merged, "oneOf": members}
    if isinstance(merged.get("properties"), Mapping):
        merged["properties"] = {name: resolve(value, root, depth + 1) for name, value in merged["properties"].items()}
    if isinstance(merged.get("items"), Mapping):
        merged["items"] = resolve(merged["items"], root, depth + 1)
    return merged


def is_object_union(schema: Schema) -> bool:
    """Whether the schema is a choice between objects."""
    members = schema.get("oneOf")
    return isinstance(members, list) and bool(members) and all("properties" in member for member in members)


def constants(schema: Schema) -> dict[str, Any]:
    """Properties that can have one value only."""
    fixed: dict[str, Any] = {}
    for name, value in schema.get("properties", {}).items():
        if "const" in value:
            fixed[name] = value["const"]
        elif isinstance(value.get("enum"), list) and len(value["enum"]) == 1 and name in schema.get("required", ()):
            fixed[name] = value["enum"][0]
    return fixed


def parameter_words(schema: Schema) -> str:
    """Names, descriptions and closed values of the parameters, as text to match against."""
    return " ".join(_words_of(schema))


def _words_of(schema: Schema) -> Iterator[str]:
    for name, value in schema.get("properties", {}).items():
        yield name.replace("_", " ")
        yield str(value.get("description", ""))
        values = [*value.get("enum", ()), *value.get("items", {}).get("enum", ()), value.get("const", "")]
        yield " ".join(str(each).replace("_", " ") for each in values)


def _variants(tool: str, description: str, root: dict[str, Any]) -> Iterator[Offer]:
    properties = root.get("properties", {})
    unions = [("", root)] if is_object_union(root) else []
    unions += [(name, value) for name, value in properties.items() if is_object_union(value)]
    if not unions:
        yield Offer(tool, description, root)
        return
    name, union = unions[0]
    for member in union["oneOf"][:_MAX_VARIANTS]:
        fixed = constants(member)
        said = str(member.get("description") or member.get("title") or "")
        variant = " ".join(str(value) for value in fixed.values())
        asked = tuple(str(each) for each in member.get("examples", ()) if isinstance(each, str))
        yield Offer(tool, said or description, member, (name,) if name else (), {}, variant, asked, description)


def _at(root: Mapping[str, Any], reference: str) -> Any:
    value: Any = root
    for key in reference.removeprefix("#/").split("/"):
        if not isinstance(value, Mapping):
            return {}
        value = value.get(key.replace("~1", "/").replace("~0", "~"), {})
    return value
