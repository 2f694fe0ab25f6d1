"""JSON and JSON lines: lists of records become rows, everything else `path: value` lines below headings."""

import json
from typing import Any

from knowledge.parse.draft import Draft, ParseFault
from knowledge.parse.plain import decode

_MAX_DEPTH = 60


def parse(data: bytes, name: str) -> Draft:
    """Every value with the names that lead to it."""
    text = decode(data)
    draft = Draft("application/json")
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ParseFault("It is nested too deep.") from error
    except ValueError as error:
        value = _lines(text, error)
    if isinstance(value, dict) and isinstance(value.get("title"), str):
        draft.title = value["title"]
    _add(draft, value, 1)
    return draft


def _lines(text: str, error: ValueError) -> list[Any]:
    lines = [line for line in text.split("\n") if line.strip()]
    try:
        return [json.loads(line) for line in lines]
    except ValueError:
        raise ParseFault(f"It is not valid JSON: {error}.") from error


def _add(draft: Draft, value: Any, level: int) -> None:
    if isinstance(value, dict) and level <= 3:
        flat = [
            line for key, inner in value.items() if not _holds_records(inner) for line in _facts(str(key), inner, 0)
        ]
        draft.add("prose", "\n".join(flat))
        for key, inner in value.items():
            if _holds_records(inner):
                draft.add("heading", str(key).replace("_", " "), level=level)
                _add(draft, inner, level + 1)
    elif isinstance(value, list):
        records = all(isinstance(entry, dict) for entry in value)
        lines = ["; ".join(_facts("", entry, 0)) for entry in value]
        draft.add("table" if records else "list", "\n".join(line if records else f"- {line}" for line in lines if line))
    else:
        draft.add("prose", "\n".join(_facts("", value, 0)))


def _holds_records(value: Any) -> bool:
    if isinstance(value, dict):
        return any(isinstance(inner, dict | list) for inner in value.values()) or len(value) > 8
    return isinstance(value, list) and bool(value) and (isinstance(value[0], dict) or len(value) > 5)


def _facts(name: str, value: Any, depth: int) -> list[str]:
    if depth > _MAX_DEPTH:
        raise ParseFault("It is nested too deep.")
    if isinstance(value, dict):
        return [fact for key, inner in value.items() for fact in _facts(f"{name} {key}".strip(), inner, depth + 1)]
    if isinstance(value, list):
        if any(isinstance(entry, dict | list) for entry in value):
            return [fact for entry in value for fact in _facts(name, entry, depth + 1)]
        value = ", ".join(_scalar(entry) for entry in value)
    text = _scalar(value)
    return [f"{name.replace('_', ' ')}: {text}" if name else text] if text else []


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else " ".join(str(value).split())
