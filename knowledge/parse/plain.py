"""Plain text: decoding, paragraphs, lists that people type by hand."""

import codecs
import re

from knowledge.parse.draft import Draft, ParseFault, table_as_facts

_ITEM = re.compile(r"^\s*(?:[-*•‣–]|\d{1,3}[.)])\s+\S")
_UNDERLINE = re.compile(r"^\s*(?:={3,}|-{3,})\s*$")
_GAP = re.compile(r" {2,}")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> str:
    """The text of bytes: by byte-order mark, else UTF-8, else Windows-1252; line ends become `\\n`."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace")
            break
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")
    if "\x00" in text:
        raise ParseFault("It holds binary data, not text.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(data: bytes, name: str) -> Draft:
    """Paragraphs are separated by blank lines; lists, columns and headings are taken as people type them."""
    draft = Draft("text/plain")
    add_text(draft, decode(data))
    first = draft.pieces[0] if draft.pieces else None
    if first is not None and first.kind == "heading":
        draft.title = first.text
    return draft


def add_text(draft: Draft, text: str, *, page: int | None = None) -> None:
    """Add plain text to a draft, paragraph by paragraph."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        lines = [line.rstrip() for line in paragraph.expandtabs(4).split("\n") if line.strip()]
        lines = _take_heading(draft, lines, page)
        if not lines:
            continue
        if grid := _columns(lines):
            draft.add("table", table_as_facts(grid), page=page)
            continue
        items = [index for index, line in enumerate(lines) if _ITEM.match(line)]
        if len(items) < max(2, len(lines) // 3):
            draft.add("prose", _unwrap(lines), page=page)
            continue
        draft.add("prose", _unwrap(lines[: items[0]]), page=page)
        draft.add("list", "\n".join(_join_items(lines[items[0] :])), page=page)


def _take_heading(draft: Draft, lines: list[str], page: int | None) -> list[str]:
    """A first line in capitals, or underlined with = or -, is a heading; returns the other lines."""
    if not lines or len(lines[0]) > 90:
        return lines
    first = lines[0].strip()
    underlined = len(lines) > 1 and bool(_UNDERLINE.match(lines[1]))
    capitals = first.isupper() and sum(character.isalpha() for character in first) > 3
    if not (underlined or (capitals and not _ITEM.match(first))):
        return lines
    level = 1 if not draft.pieces or (underlined and lines[1].strip()[0] == "=") else 2
    draft.add("heading", first, level=level, page=page)
    return lines[2:] if underlined else lines[1:]


def _columns(lines: list[str]) -> list[list[str]]:
    """The cells of lines that are set in columns by two or more spaces; nothing where they are not."""
    grid = [_GAP.split(line.strip()) for line in lines]
    width = len(grid[0])
    return grid if len(grid) >= 3 and width >= 2 and all(len(row) == width for row in grid) else []


def _unwrap(lines: list[str]) -> str:
    """Lines that were broken at a margin become one; short lines stay as they are."""
    longest = max(map(len, lines), default=0)
    wrapped = longest >= 50 and all(len(line) >= 0.6 * longest for line in lines[:-1])
    return (" " if wrapped else "\n").join(" ".join(line.split()) for line in lines)


def _join_items(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if _ITEM.match(line) or not items:
            items.append(line if line.startswith(" ") else line.strip())
        else:
            items[-1] += " " + line.strip()
    return items
