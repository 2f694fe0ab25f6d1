"""What a format's parser makes of bytes: pieces of text in reading order, and what the file says of itself.

Nothing here imports pydantic: a worker process starts in a few milliseconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

PieceKind = Literal["prose", "list", "table", "code", "heading"]


class ParseFault(Exception):
    """The file cannot be taken; the message is the reason, for the person who put it there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`knowledge.settings.ParseSettings`, as far as a worker needs it."""

    cpu_s: int = 60
    memory_bytes: int = 1_500_000_000
    max_bytes: int = 100_000_000
    max_unpacked_bytes: int = 400_000_000
    max_ratio: float = 200.0
    max_entries: int = 5_000
    max_depth: int = 3
    max_pages: int = 5_000
    max_characters: int = 20_000_000
    macros: str = "refuse"
    ocr: bool = False
    tesseract: str = ""
    ocr_languages: str = "eng"


@dataclass(frozen=True, slots=True)
class Piece:
    """A paragraph, a list (one item a line), a table (one row a line), a code block or a heading."""

    kind: PieceKind
    text: str
    level: int = 0
    page: int | None = None


@dataclass(slots=True)
class Draft:
    """A document as its format tells it, before cleaning."""

    media_type: str
    title: str = ""
    pieces: list[Piece] = field(default_factory=list)
    modified: str | None = None
    authors: list[str] = field(default_factory=list)
    keywords: list[str] = field(default_factory=list)
    access: dict[str, list[str]] | None = None
    warnings: list[str] = field(default_factory=list)
    parts: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, kind: PieceKind, text: str, *, level: int = 0, page: int | None = None) -> None:
        """Append a piece; blank ones are dropped."""
        if text.strip():
            self.pieces.append(Piece(kind, text, level, page))


@dataclass(frozen=True, slots=True)
class Placed:
    """A block of the assembled text."""

    kind: PieceKind
    start: int
    end: int
    headings: tuple[str, ...]
    page: int | None

    def fields(self) -> dict[str, object]:
        """As JSON has it."""
        return {
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "headings": self.headings,
            "page": self.page,
        }


def assemble(pieces: Iterable[Piece]) -> tuple[str, list[Placed]]:
    """One text with a blank line between pieces, and where each stands below which headings."""
    parts: list[str] = []
    blocks: list[Placed] = []
    path: list[tuple[int, str]] = []
    at = 0
    for piece in pieces:
        if parts:
            parts.append("\n\n")
            at += 2
        if piece.kind == "heading":
            while path and path[-1][0] >= piece.level:
                path.pop()
            path.append((piece.level, " ".join(piece.text.split())))
        parts.append(piece.text)
        headings = tuple(text for _, text in path)
        blocks.append(Placed(piece.kind, at, at + len(piece.text), headings, piece.page))
        at += len(piece.text)
    return "".join(parts), blocks


def rows_as_facts(header: list[str], rows: Iterable[list[str]]) -> str:
    """Each row on a line as `Header: value; Header: value`; empty cells are left out."""
    names = [" ".join(name.split()) for name in header]
    lines = []
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        facts = []
        for index, cell in enumerate(cells):
            name = names[index] if index < len(names) else ""
            if cell:
                facts.append(f"{name}: {cell}" if name and name != cell else cell)
        if facts:
            lines.append("; ".join(facts))
    return "\n".join(lines)


def table_as_facts(grid: list[list[str]]) -> str:
    """A table whose first row names its columns; one that does not is written cell by cell."""
    rows = [row for row in grid if any(cell.strip() for cell in row)]
    if not rows:
        return ""
    if len(rows) == 1 or max(len(row) for row in rows) == 1:
        return "\n".join("; ".join(" ".join(cell.split()) for cell in row if cell.strip()) for row in rows)
    if looks_like_header(rows[0], rows[1:]):
        return rows_as_facts(rows[0], rows[1:])
    return rows_as_facts([], rows)


def looks_like_header(first: list[str], rest: list[list[str]]) -> bool:
    """Whether a row names columns: mostly filled, short, and without figures where the rows have some."""
    width = max(len(row) for row in [first, *rest])
    filled = [cell for cell in first if cell.strip()]
    if len(filled) < max(1, (width + 1) // 2) or any(len(cell) > 120 for cell in filled):
        return False
    return not any(_is_figure(cell) for cell in filled) or all(_is_year(cell) for cell in filled if _is_figure(cell))


def _is_figure(cell: str) -> bool:
    digits = sum(character.isdigit() for character in cell)
    return digits > 0 and digits * 2 >= len(cell.strip())


def _is_year(cell: str) -> bool:
    text = cell.strip()
    return len(text) == 4 and text.isdigit() and text[:2] in {"19", "20"}
