"""Slide decks: each slide under its title, with its lists, tables, charts and speaker's notes."""

import io
from collections.abc import Iterator
from typing import Any

from knowledge.parse.archive import open_office
from knowledge.parse.draft import Draft, Limits, ParseFault, table_as_facts
from knowledge.parse.xlsx import cell_text

_MAX_DEPTH = 20


def parse(data: bytes, name: str, limits: Limits) -> Draft:
    """Slides in order; the page is the slide's number. Hidden slides are left out."""
    warnings = open_office(data, limits)
    import pptx
    from pptx.exc import PythonPptxError

    try:
        deck = pptx.Presentation(io.BytesIO(data))
    except (KeyError, ValueError, PythonPptxError) as error:
        raise ParseFault(f"The deck is damaged: {error}.") from error
    draft = Draft("application/vnd.openxmlformats-officedocument.presentationml.presentation", warnings=warnings)
    properties = deck.core_properties
    draft.title = "" if properties.title == "PowerPoint Presentation" else properties.title or ""
    draft.authors = [author.strip() for author in (properties.author or "").split(";") if author.strip()]
    draft.modified = properties.modified.isoformat() if properties.modified else None
    if len(deck.slides) > limits.max_pages:
        raise ParseFault(f"The deck has {len(deck.slides)} slides; {limits.max_pages} are allowed.")
    for number, slide in enumerate(deck.slides, start=1):
        if slide.element.get("show") == "0":
            draft.warnings.append(f"Slide {number} is hidden and was left out.")
        else:
            _add_slide(draft, slide, number)
    return draft


def _add_slide(draft: Draft, slide: Any, number: int) -> None:
    title = slide.shapes.title
    heading = " ".join(title.text_frame.text.split()) if title is not None else ""
    draft.add("heading", heading or f"Slide {number}", level=1, page=number)
    if heading and not draft.title:
        draft.title = heading
    shapes = sorted(_flat(slide.shapes, 0), key=lambda shape: (shape.top or 0, shape.left or 0))
    for shape in shapes:
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if getattr(shape, "has_table", False):
            grid = [[cell.text for cell in row.cells] for row in shape.table.rows]
            draft.add("table", table_as_facts(grid), page=number)
        elif getattr(shape, "has_chart", False):
            draft.add("table", _chart(shape.chart), page=number)
        elif getattr(shape, "has_text_frame", False):
            _add_frame(draft, shape.text_frame, number)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = " ".join(slide.notes_slide.notes_text_frame.text.split())
        draft.add("prose", f"Notes: {notes}" if notes else "", page=number)


def _flat(shapes: Any, depth: int) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes") and depth < _MAX_DEPTH:
            yield from _flat(shape.shapes, depth + 1)
        else:
            yield shape


def _add_frame(draft: Draft, frame: Any, number: int) -> None:
    """One paragraph is prose, several are a list, as slides have it."""
    paragraphs = [(paragraph.level, " ".join(paragraph.text.split())) for paragraph in frame.paragraphs]
    paragraphs = [(level, text) for level, text in paragraphs if text]
    if len(paragraphs) > 1:
        draft.add("list", "\n".join(f"{'  ' * level}- {text}" for level, text in paragraphs), page=number)
    elif paragraphs:
        draft.add("prose", paragraphs[0][1], page=number)


def _chart(chart: Any) -> str:
    """The figures behind a chart, one category a row."""
    series = [entry for plot in chart.plots for entry in plot.series]
    categories = [str(category) for category in chart.plots[0].categories]
    grid = [["", *(entry.name or "value" for entry in series)]]
    for index, category in enumerate(categories):
        values = [entry.values[index] if index < len(entry.values) else None for entry in series]
        grid.append([category, *(cell_text(value) for value in values)])
    return table_as_facts(grid)
