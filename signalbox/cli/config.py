"""`signalbox config show`."""

import json
from typing import Any

from rich.markup import escape

from signalbox.cli.console import out
from signalbox.settings import load_settings


def show(*, as_json: bool) -> None:
    """Every setting in force as TOML-like lines, or as JSON; secrets are masked by their type."""
    values = load_settings().model_dump(mode="json")
    console = out()
    if as_json:
        console.print(json.dumps(values, indent=2), markup=False)
        return
    for line in _lines(values, ""):
        console.print(escape(line))


def _lines(values: dict[str, Any], prefix: str) -> list[str]:
    lines: list[str] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            lines += _lines(value, f"{prefix}{name}.")
        else:
            lines.append(f"{prefix}{name} = {json.dumps(value)}")
    return lines
