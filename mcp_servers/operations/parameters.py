"""Values for a metric's parameters: what a model wrote, checked and made exact."""

import re
import unicodedata
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Any

from mcp_servers.operations.catalogue import Metric, Parameter
from signalbox.errors import UserFault

_RELATIVE = re.compile(r"^(?:today)?\s*([+-])\s*(\d{1,4})\s*(d|w|m|y)$")


@dataclass(frozen=True)
class Choices:
    """Accepted values of a parameter: each accepted spelling with the value it stands for."""

    spellings: Mapping[str, str]
    values: tuple[str, ...]

    def find(self, text: str) -> str | None:
        """The value meant by `text`: exact, without case and accents, or the only one that contains it."""
        wanted = _plain(text)
        for spelling, value in self.spellings.items():
            if _plain(spelling) == wanted:
                return value
        partial = {value for spelling, value in self.spellings.items() if wanted and wanted in _plain(spelling)}
        return partial.pop() if len(partial) == 1 else None


def bind(
    metric: Metric, name: str, given: Mapping[str, Any], choices: Mapping[str, Choices], today: date
) -> dict[str, Any]:
    """Every parameter of the metric with its value; raises `UserFault` that names the parameter and what it accepts."""
    if unknown := sorted(set(given) - set(metric.parameters)):
        known = ", ".join(metric.parameters) or "none"
        raise UserFault(
            f"The metric {name!r} has no parameter {unknown[0]!r}.", hint=f"Parameters: {known}.", param=unknown[0]
        )
    bound: dict[str, Any] = {"today": today.isoformat()}
    for key, parameter in metric.parameters.items():
        value = given.get(key)
        if value is None or value == "":
            if parameter.required:
                raise UserFault(f"The metric {name!r} needs {key!r}: {parameter.description}", param=key)
            value = parameter.default
        bound[key] = None if value is None else _convert(key, parameter, value, choices.get(key), today)
    return bound


def _convert(key: str, parameter: Parameter, value: Any, choices: Choices | None, today: date) -> str | int:
    if parameter.type == "date":
        return read_date(key, str(value), parameter.edge, today).isoformat()
    if parameter.type == "integer":
        return _integer(key, parameter, value)
    if choices is not None:
        found = choices.find(str(value))
        if found is None:
            near = get_close_matches(str(value), choices.values, n=3, cutoff=0.4)
            shown = ", ".join(near or choices.values[:12])
            raise UserFault(f"{key!r} has no value {str(value)[:60]!r}.", hint=f"Values: {shown}.", param=key)
        return found
    text = str(value).strip()
    if len(text) > 200:
        raise UserFault(f"{key!r} is longer than 200 characters.", param=key)
    return text


def _integer(key: str, parameter: Parameter, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise UserFault(f"{key!r} must be a whole number, not {str(value)[:40]!r}.", param=key) from error
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise UserFault(f"{key!r} must be between {low} and {high}.", param=key)
    return number


def read_date(key: str, text: str, edge: str, today: date) -> date:
    """An ISO date, a month (2026-10), a year, `today`, `yesterday`, `month-start`, `year-start` or `-30d`."""
    word = text.strip().lower()
    named = {
        "today": today,
        "now": today,
        "yesterday": today - timedelta(days=1),
        "tomorrow": today + timedelta(days=1),
        "week-start": today - timedelta(days=today.weekday()),
        "month-start": today.replace(day=1),
        "year-start": today.replace(month=1, day=1),
    }
    if word in named:
        return named[word]
    if match := _RELATIVE.match(word):
        return _shift(today, int(match[1] + match[2]), match[3])
    try:
        if re.fullmatch(r"\d{4}", word):
            return date(int(word), 12, 31) if edge == "end" else date(int(word), 1, 1)
        if match := re.fullmatch(r"(\d{4})-(\d{2})", word):
            year, month = int(match[1]), int(match[2])
            return date(year, month, monthrange(year, month)[1] if edge == "end" else 1)
        return date.fromisoformat(word[:10])
    except ValueError as error:
        raise UserFault(
            f"{key!r} is not a date: {text[:40]!r}.", hint="Write YYYY-MM-DD, for example 2026-10-01.", param=key
        ) from error


def _shift(day: date, amount: int, unit: str) -> date:
    if unit in {"d", "w"}:
        return day + timedelta(days=amount * (7 if unit == "w" else 1))
    months = day.year * 12 + day.month - 1 + amount * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text)
    return " ".join("".join(c for c in folded if not unicodedata.combining(c)).casefold().split())
