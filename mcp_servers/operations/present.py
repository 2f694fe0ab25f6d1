"""Says what a result shows: the sentence, the picture, and the evidence that an answer can cite. All by code."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from mcp_servers.operations.catalogue import Chart, Metric
from mcp_servers.operations.models import Cell, Column, Evidence

Row = dict[str, Cell]
MAX_EVIDENCE_CHARS = 6_000
_FIELD = re.compile(r"\{([^{}]+)\}")
_CHART_ROWS = 120


def state(
    metric: Metric, columns: Sequence[Column], rows: Sequence[Row], binds: Mapping[str, Any], *, more: bool
) -> str:
    """The metric's sentence, filled from its parameters and rows.

    Fields: `{site}` or `{site|all sites}` a parameter or what to say when it is unset; `{sum:c}`, `{min:c}`,
    `{max:c}`, `{first:c}`, `{last:c}` of a column; `{sum:c|one|many}` with the noun that fits; `{count|one|many}`
    rows, "at least" so many when the metric's `limit` was reached; `{pairs:label,value}` the first five, with
    `{pairs:label,value|word}` as "word label: value".
    """
    template = metric.summary if rows else metric.summary_empty
    if len(rows) == 1 and metric.summary_one:
        template = metric.summary_one
    full = bool(rows) and binds.get("limit") == len(rows)
    units = {column.name: column.unit for column in columns}

    def fill(match: re.Match[str]) -> str:
        head, *words = match[1].split("|")
        kind, _, column = head.partition(":")
        if kind == "count":
            return ("at least " if full else "") + _counted(len(rows), words)
        if not column:
            value = binds.get(head)
            return show(value) if value is not None else (words[0] if words else "all")
        if kind == "pairs":
            return _pairs(column, rows, units, words[0] if words else "")
        value = _value(kind, column, rows)
        return _counted(value, words) if words else show(value, units.get(column, ""))

    text = _FIELD.sub(fill, template)
    return f"{text} (Over the first {len(rows)} rows; there are more.)" if more else text


def show(value: Any, unit: str = "") -> str:
    """A value as a reader expects it: €12,345 · 93.4 % · 2026-11-20."""
    if value is None:
        return "not yet"
    if value == "":
        return "not known"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if unit == "EUR":
        return f"€{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"€{value:,.2f}"
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,}"
    return f"{number} %" if unit == "%" else number


def picture(chart: Chart | None, title: str, columns: Sequence[Column], rows: Sequence[Row]) -> dict[str, Any] | None:
    """A Vega-Lite specification with its data, for two rows or more."""
    if chart is None or len(rows) < 2:
        return None
    kinds = {column.name: column for column in columns}

    def axis(name: str) -> dict[str, Any]:
        column = kinds[name]
        scale = {"date": "temporal", "integer": "quantitative", "number": "quantitative"}.get(column.type, "nominal")
        if name == chart.x and chart.mark == "bar":
            scale = "nominal"
        made: dict[str, Any] = {
            "field": name,
            "type": scale,
            "title": name.replace("_", " ") + (f" ({column.unit})" if column.unit else ""),
        }
        if scale == "nominal":
            made["sort"] = None
        return made

    encoding = {"x": axis(chart.x), "y": axis(chart.y)}
    if chart.colour is not None:
        encoding["color"] = axis(chart.colour)
    wanted = [chart.x, chart.y, *([chart.colour] if chart.colour else [])]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": title,
        "mark": {"type": chart.mark, "tooltip": True},
        "encoding": encoding,
        "data": {"values": [{name: row[name] for name in wanted} for row in rows[:_CHART_ROWS]]},
    }


def guess_chart(columns: Sequence[Column], rows: Sequence[Row]) -> Chart | None:
    """A picture for a free SELECT: one label and a figure."""
    if len(columns) < 2 or not 2 <= len(rows) <= 40:
        return None
    figures = [c.name for c in columns if c.type in {"integer", "number"}]
    labels = [c for c in columns if c.type in {"text", "date"}]
    if len(labels) != 1 or not figures or len({row[labels[0].name] for row in rows}) != len(rows):
        return None
    return Chart(mark="line" if labels[0].type == "date" else "bar", x=labels[0].name, y=figures[0])


def evidence(
    *,
    name: str,
    title: str,
    summary: str,
    columns: Sequence[Column],
    rows: Sequence[Row],
    asked: Mapping[str, Any],
    modified: str,
) -> Evidence:
    """The result as one citable item; its id depends on what was asked and what came back, on nothing else."""
    canonical = json.dumps([name, asked, rows], sort_keys=True, ensure_ascii=False, default=str, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    lines, spent = [summary], len(summary)
    for row in rows:
        line = "; ".join(
            f"{c.name.replace('_', ' ')}: {show(row[c.name], c.unit)}" for c in columns if row[c.name] is not None
        )
        spent += len(line) + 1
        if spent > MAX_EVIDENCE_CHARS:
            lines.append("…")
            break
        lines.append(line)
    parameters = urlencode({k: v for k, v in asked.items() if v is not None and k != "today"})
    return Evidence(
        ref=digest[:8],
        chunk_id=digest[:32],
        document=f"operations/{name}",
        title=title,
        uri=f"operations:{name}" + (f"?{parameters}" if parameters else ""),
        text="\n".join(lines),
        modified=modified,
    )


def _value(kind: str, column: str, rows: Sequence[Row]) -> Cell:
    if kind in {"first", "last"}:
        return rows[0 if kind == "first" else -1][column]
    values = [v for row in rows if isinstance(v := row[column], (int, float))]
    if not values:
        return None
    reduce: Callable[[list[int | float]], int | float] = {"sum": sum, "min": min, "max": max}[kind]
    total = reduce(values)
    return round(total, 2) if isinstance(total, float) else total


def _counted(value: Any, words: Sequence[str]) -> str:
    return f"{show(value)} {words[0 if value == 1 else -1]}" if words else show(value)


def _pairs(spec: str, rows: Sequence[Row], units: Mapping[str, str], word: str) -> str:
    label, value = spec.split(",")
    before, between = (f"{word} ", ": ") if word else ("", " ")
    shown = [f"{before}{show(row[label])}{between}{show(row[value], units.get(value, ''))}" for row in rows[:5]]
    rest = len(rows) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
