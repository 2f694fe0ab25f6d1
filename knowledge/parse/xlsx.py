"""Workbooks: each sheet under its name, each of its tables with its header, each row read as facts."""

import io
import re
from datetime import date, datetime, time, timedelta
from typing import Any

from knowledge.parse.archive import open_archive, open_office
from knowledge.parse.draft import Draft, Limits, ParseFault, looks_like_header, rows_as_facts, table_as_facts

_STREAMED = 30_000_000
"""Above this a workbook is read as a stream, in which hidden rows and columns cannot be told."""
_CURRENCY = re.compile(r"[€$£¥]")


def parse(data: bytes, name: str, limits: Limits) -> Draft:
    """Values as they were last calculated; hidden sheets, rows and columns are left out."""
    warnings = open_office(data, limits)
    with open_archive(data, limits) as archive:
        streamed = sum(entry.file_size for entry in archive.infolist()) > _STREAMED
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=streamed, data_only=True, keep_links=False)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ParseFault(f"The workbook is damaged: {error}.") from error
    draft = Draft("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", warnings=warnings)
    properties = book.properties
    draft.title = properties.title or ""
    draft.authors = [properties.creator] if properties.creator and properties.creator != "openpyxl" else []
    draft.modified = properties.modified.isoformat() if properties.modified else None
    left_out = [sheet.title for sheet in book.worksheets if sheet.sheet_state != "visible"]
    if left_out:
        draft.warnings.append(f"{len(left_out)} hidden sheet(s) were left out.")
    for sheet in book.worksheets:
        if sheet.sheet_state == "visible":
            _add_sheet(draft, sheet, streamed=streamed)
    if streamed:
        draft.warnings.append("It is large: hidden rows and columns could not be told from visible ones.")
    return draft


def _add_sheet(draft: Draft, sheet: Any, *, streamed: bool) -> None:
    draft.add("heading", sheet.title, level=1)
    hidden_columns = set() if streamed else _hidden_columns(sheet)
    region: list[list[str]] = []
    for row in sheet.iter_rows():
        if not streamed and row and sheet.row_dimensions[row[0].row].hidden:
            continue
        cells = [
            _cell(cell) for index, cell in enumerate(row, start=1) if not hidden_columns or index not in hidden_columns
        ]
        if any(cells):
            region.append(cells)
        elif region:
            _add_region(draft, region)
            region = []
    _add_region(draft, region)


def _hidden_columns(sheet: Any) -> set[int]:
    return {
        index
        for dimension in sheet.column_dimensions.values()
        if dimension.hidden
        for index in range(dimension.min or 0, (dimension.max or 0) + 1)
    }


def _add_region(draft: Draft, rows: list[list[str]]) -> None:
    """Rows up to a blank one: lines with one cell are titles and notes, the rest is a table with its header."""
    if not rows:
        return
    used = [index for index in range(max(map(len, rows))) if any(index < len(row) and row[index] for row in rows)]
    rows = [[row[index] if index < len(row) else "" for index in used] for row in rows]
    while rows and len(used) > 1 and sum(map(bool, rows[0])) == 1:
        draft.add("prose", next(cell for cell in rows[0] if cell))
        rows = rows[1:]
    if len(rows) > 1 and looks_like_header(rows[0], rows[1:]):
        draft.add("table", rows_as_facts(rows[0], rows[1:]))
    else:
        draft.add("table", table_as_facts(rows))


def _cell(cell: Any) -> str:
    return cell_text(cell.value, getattr(cell, "number_format", None) or "General")


def cell_text(value: Any, form: str = "General") -> str:
    """A value as a reader of the sheet sees it, near enough: dates in ISO form, percent, currency, no float noise."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, int | float):
        if "%" in form:
            return f"{round(value * 100, 6):g}%"
        number = f"{value:.10g}" if isinstance(value, float) else str(value)
        if "e" not in number and "#,##" in form:
            number = f"{float(number):,.2f}" if ".0" in form else f"{float(number):,.10g}"
        sign = _CURRENCY.search(form)
        return f"{sign[0]}{number}" if sign else number
    return str(value).strip()
