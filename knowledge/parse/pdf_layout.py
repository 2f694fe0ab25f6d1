"""From runs of text with places to paragraphs, headings, lists and tables."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from knowledge.parse.draft import Draft, table_as_facts

_MARK = re.compile(r"^(?:[-•‣◦▪●○–*\uf0b7\uf0a7]|\(?(?:\d{1,3}|[a-z])[.)])$")
_ITEM = re.compile(r"^(?:[-•‣◦▪●○–\uf0b7\uf0a7]|\d{1,3}[.)])\s+\S")
_CLAUSE = re.compile(r"^(?:§\s?\d+|\d{1,3}(?:\.\d{1,3})+\.?)\s+\S")
_WIDE_GAP = 1.1
_JUMP = 0.6
_NEW_PARAGRAPH = 0.75
_LARGER = 1.12


@dataclass(slots=True)
class Segment:
    """A run of text on one line; lengths in points, `bottom` grows upwards."""

    text: str
    left: float
    right: float
    bottom: float
    size: float
    bold: bool = False

    def takes(self, left: float, bottom: float, size: float) -> bool:
        """Whether a character at this place goes on with the run."""
        reach = max(self.size, size)
        return abs(bottom - self.bottom) < _JUMP * reach and -0.5 * reach < left - self.right < _WIDE_GAP * reach


@dataclass(slots=True)
class _Line:
    segments: list[Segment]
    page: int

    @property
    def text(self) -> str:
        return " ".join(" ".join(segment.text.split(" ")) for segment in self.segments).strip(" ")

    @property
    def size(self) -> float:
        return max(self.segments, key=lambda segment: len(segment.text)).size

    @property
    def bottom(self) -> float:
        return min(segment.bottom for segment in self.segments)

    @property
    def bold(self) -> bool:
        return all(segment.bold for segment in self.segments)


def add_pages(draft: Draft, pages: dict[int, list[Segment]]) -> None:
    """Add the pieces of these pages to a draft."""
    lines = {number: _lines(number, segments) for number, segments in pages.items()}
    sizes: Counter[float] = Counter()
    for page in lines.values():
        for line in page:
            sizes[round(line.size, 1)] += len(line.text)
    if not sizes:
        return
    body = sizes.most_common(1)[0][0]
    larger = sorted({size for size in sizes if size > body * _LARGER}, reverse=True)
    levels = {size: min(level, 4) for level, size in enumerate(larger, start=1)}
    for page in lines.values():
        _Page(draft, page, levels, min(len(levels), 4) + 1).add()


def _lines(number: int, segments: Sequence[Segment]) -> list[_Line]:
    """Runs that stand next to each other become lines; a list mark goes with what it marks."""
    lines: list[_Line] = []
    for segment in segments:
        if not segment.text.strip():
            continue
        last = lines[-1].segments[-1] if lines else None
        beside = last is not None and abs(segment.bottom - last.bottom) < _JUMP * max(segment.size, last.size)
        if last is None or not beside or segment.left < last.right - 1:
            lines.append(_Line([segment], number))
        elif _MARK.match(last.text.strip()) and len(lines[-1].segments) == 1:
            last.text = f"{last.text.strip()} {segment.text.strip()}"
            last.right = segment.right
        else:
            lines[-1].segments.append(segment)
    return lines


class _Page:
    """Goes down a page and turns lines into pieces."""

    def __init__(self, draft: Draft, lines: list[_Line], levels: dict[float, int], bold_level: int) -> None:
        self._draft = draft
        self._lines = lines
        self._levels = levels
        self._bold_level = bold_level
        self._gathered: list[_Line] = []

    def add(self) -> None:
        """All pieces of the page."""
        at = 0
        while at < len(self._lines):
            rows, after = _table(self._lines, at)
            if rows:
                self._flush()
                self._draft.add("table", table_as_facts(rows), page=self._lines[at].page)
                at = after
                continue
            line = self._lines[at]
            if level := self._heading(at):
                self._add_heading(line, level)
            else:
                if self._gathered and self._breaks(self._gathered[-1], line):
                    self._flush()
                self._gathered.append(line)
            at += 1
        self._flush()

    def _heading(self, at: int) -> int:
        line = self._lines[at]
        text = line.text
        if (
            len(text) > 150
            or not any(character.isalpha() for character in text)
            or (_ITEM.match(text) and not line.bold)
        ):
            return 0
        if level := self._levels.get(round(line.size, 1)):
            return level
        alone = at + 1 >= len(self._lines) or not self._lines[at + 1].bold
        return self._bold_level if line.bold and alone and len(text) < 90 and text[-1] not in ".,;:" else 0

    def _add_heading(self, line: _Line, level: int) -> None:
        self._flush()
        last = self._draft.pieces[-1] if self._draft.pieces else None
        if (
            last is not None
            and (last.kind, last.level, last.page) == ("heading", level, line.page)
            and level < self._bold_level
        ):
            self._draft.pieces[-1] = type(last)("heading", f"{last.text} {line.text}", level, line.page)
        else:
            self._draft.add("heading", line.text, level=level, page=line.page)

    def _breaks(self, above: _Line, below: _Line) -> bool:
        """Whether a new paragraph begins: a wide gap, another size, or another column."""
        if _CLAUSE.match(below.text):
            return True
        gap = above.bottom - below.bottom - below.size
        if abs(above.size - below.size) > 0.15 * above.size or gap < -2 * below.size:
            return True
        return gap > _NEW_PARAGRAPH * below.size

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        page = gathered[0].page
        items = [index for index, line in enumerate(gathered) if _ITEM.match(line.text)]
        intro = gathered[: items[0]] if items else gathered
        self._draft.add("prose", _join(intro), page=page)
        bounds = [*items, len(gathered)]
        self._draft.add(
            "list",
            "\n".join(_join(gathered[start:end]) for start, end in pairwise(bounds)),
            page=page,
        )


def _join(lines: Sequence[_Line]) -> str:
    """Lines as one paragraph; words cut by a hyphen at a line's end are joined."""
    text = ""
    for line in lines:
        words = line.text
        if text.endswith("\u00ad\n"):
            text = text[:-2] + words
        elif re.search(r"[a-zà-ÿ]-$", text) and re.match(r"[a-zà-ÿ]", words):
            text = text[:-1] + words
        else:
            text = f"{text} {words}" if text else words
    return text.replace("\u00ad\n", "")


def _table(lines: Sequence[_Line], at: int) -> tuple[list[list[str]], int]:
    """The rows of a table that starts here and where it ends, or nothing.

    A table is a run of lines whose runs stand below those of its first line; at least two of them have several.
    """
    columns = [(segment.left, segment.right) for segment in lines[at].segments]
    if len(columns) < 2:
        return [], at
    rows = [[segment.text.strip() for segment in lines[at].segments]]
    after = at + 1
    while after < len(lines):
        line = lines[after]
        gap = lines[after - 1].bottom - line.bottom
        places = [_column(segment, columns) for segment in line.segments]
        if _ends_table(lines, after, gap, places, columns):
            break
        cells = {place or 0: segment.text.strip() for place, segment in zip(places, line.segments, strict=True)}
        if 0 in cells and not _continues(cells, gap, line):
            rows.append([""] * len(columns))
        for place, text in cells.items():
            rows[-1][place] = f"{rows[-1][place]} {text}".strip()
        columns = [_widened(column, index, line, places) for index, column in enumerate(columns)]
        after += 1
    full = sum(sum(map(bool, row)) > 1 for row in rows)
    return (rows, after) if full >= 2 else ([], at)


def _continues(cells: dict[int, str], gap: float, line: _Line) -> bool:
    """Whether a line holds the next words of the first cell above it."""
    return len(cells) == 1 and 0 < gap < 1.3 * line.size


def _ends_table(
    lines: Sequence[_Line],
    at: int,
    gap: float,
    places: Sequence[int | None],
    columns: Sequence[tuple[float, float]],
) -> bool:
    """Whether this line is no longer a row of the table above it."""
    line = lines[at]
    if gap > 4 * line.size or None in places or len(set(places)) < len(places):
        return True
    if list(places) != [0] or 0 < gap < 1.3 * line.size:
        return False
    row_follows = at + 1 < len(lines) and len(lines[at + 1].segments) > 1
    return not row_follows or line.segments[0].right > columns[1][0] or bool(_ITEM.match(line.text))


def _column(segment: Segment, columns: Sequence[tuple[float, float]]) -> int | None:
    """The column that a run stands under: aligned at the left, at the right or in the middle, or overlapping."""
    best, best_overlap = None, 0.0
    for index, (left, right) in enumerate(columns):
        overlap = min(segment.right, right) - max(segment.left, left)
        if abs(segment.left - left) < segment.size * 0.5 or abs(segment.right - right) < segment.size * 0.5:
            return index
        if overlap > best_overlap:
            best, best_overlap = index, overlap
    return best


def _widened(column: tuple[float, float], index: int, line: _Line, places: Sequence[int | None]) -> tuple[float, float]:
    for place, segment in zip(places, line.segments, strict=True):
        if place == index:
            return min(column[0], segment.left), max(column[1], segment.right)
    return column
