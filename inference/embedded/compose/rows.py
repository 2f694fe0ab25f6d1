"""Results with rows: the sentence that states them, then a compact table with units."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from inference.embedded.prompt_reader import ToolResult, reference_of

_MAX_CELL = 80


def is_table(data: Mapping[str, Any]) -> bool:
    """Whether a result is a table of docs/contracts.md."""
    return isinstance(data.get("columns"), list) and isinstance(data.get("rows"), list)


def state_table(result: ToolResult, *, max_rows: int) -> str:
    """The summary sentence with its citation, then up to `max_rows` rows as Markdown."""
    data = result.data or {}
    citation = f"[#{_reference(result, data)}]"
    rows: Sequence[Any] = data["rows"]
    summary = str(data.get("summary") or data.get("title") or "").strip()
    if not rows:
        return f"{summary or 'The query returned no rows.'} {citation}"
    said = f"{summary or f'{len(rows)} rows were found.'} {citation}"
    columns = [_column(each) for each in data["columns"]]
    if len(rows) == 1 and len(columns) == 1 and summary:
        return said
    lines = [_line(label for _, label in columns), _line("---" for _ in columns)]
    lines += [_line(_cell(_value(row, name, at)) for at, (name, _) in enumerate(columns)) for row in rows[:max_rows]]
    left = _left_out(data, len(rows), max_rows)
    return "\n".join([said, "", *lines, *(["", left] if left else [])])


def _reference(result: ToolResult, data: Mapping[str, Any]) -> str:
    items = data.get("evidence")
    first = items[0] if isinstance(items, list) and items else {}
    return str(first.get("ref") or "") or reference_of(result.text)


def _column(column: Any) -> tuple[str, str]:
    if not isinstance(column, Mapping):
        return str(column), str(column).replace("_", " ")
    name = str(column.get("name", ""))
    label = name.replace("_", " ")
    unit = str(column.get("unit") or "")
    return name, f"{label} ({unit})" if unit and unit not in label else label


def _value(row: Any, name: str, at: int) -> Any:
    if isinstance(row, Mapping):
        return row.get(name)
    return row[at] if isinstance(row, Sequence) and not isinstance(row, str) and at < len(row) else row


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".") if value != int(value) else f"{int(value):,}"
    text = re.sub(r"\s+", " ", str(value)).replace("|", "\\|")
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 1] + "…"


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _left_out(data: Mapping[str, Any], held: int, shown: int) -> str:
    count = data.get("row_count")
    total = int(count) if isinstance(count, int) else held
    if total <= shown and not data.get("truncated"):
        return ""
    more = "at least " if data.get("truncated") else ""
    return f"Shown: the first {min(held, shown)} of {more}{max(total, held)} rows."
