"""Records as documents: `{field}` in a template stands for a value; without a template all fields are listed."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

_PLACE = re.compile(r"\{([\w.]+)\}")


def render(record: Mapping[str, Any], *, title: str, template: str) -> str:
    """A Markdown document: the title, then the template or all fields as facts."""
    if template:
        return f"# {fill(title, record)}\n\n{fill(template, record)}\n"
    return f"# {fill(title, record)}\n\n" + "\n".join(_facts("", record)) + "\n"


def fill(template: str, record: Mapping[str, Any]) -> str:
    """The template with the record's values; an unknown field stays as it is written."""

    def value_of(match: re.Match[str]) -> str:
        value = pick(record, match[1])
        return match[0] if value is None and match[1].split(".")[0] not in record else text_of(value)

    return _PLACE.sub(value_of, template)


def pick(value: Any, path: str) -> Any:
    """What stands at a dotted path, or None; the empty path is the value itself."""
    for step in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def text_of(value: Any) -> str:
    """A value as words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(text_of(entry) for entry in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {text_of(inner)}" for name, inner in value.items())
    return value.isoformat() if isinstance(value, date) else str(value).strip()


def moment_of(value: Any) -> datetime | None:
    """A date and time from what a database or a service gives."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None


def _facts(name: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [fact for key, inner in value.items() for fact in _facts(f"{name} {key}".strip(), inner)]
    text = text_of(value)
    return [f"- {name.replace('_', ' ')}: {text}"] if text else []
