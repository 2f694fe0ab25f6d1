"""Word documents: headings, numbered and bulleted lists, tables; without deleted and hidden text."""

import io
from collections import Counter
from typing import Any

from knowledge.parse.archive import open_office
from knowledge.parse.draft import Draft, Limits, ParseFault, table_as_facts

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_GONE = frozenset({f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_W}delText", _FALLBACK})
_MAX_DEPTH = 20


def parse(data: bytes, name: str, limits: Limits) -> Draft:
    """The body in reading order, then footnotes; title, author and date from the properties."""
    warnings = open_office(data, limits)
    import docx
    from docx.opc.exceptions import OpcError

    try:
        document = docx.Document(io.BytesIO(data))
    except (KeyError, ValueError, OpcError) as error:
        raise ParseFault(f"The Word document is damaged: {error}.") from error
    draft = Draft("application/vnd.openxmlformats-officedocument.wordprocessingml.document", warnings=warnings)
    properties = document.core_properties
    draft.title = properties.title or ""
    draft.authors = [author.strip() for author in (properties.author or "").split(";") if author.strip()]
    draft.authors = [author for author in draft.authors if author != "python-docx"]
    draft.keywords = [word.strip() for word in (properties.keywords or "").split(",") if word.strip()]
    draft.modified = properties.modified.isoformat() if properties.modified else None
    reader = _Reader(draft, _Styles(document), _Numbering(document))
    reader.body(document.element.body, 0)
    reader.end_list()
    _add_footnotes(draft, document, reader)
    if reader.hidden:
        draft.warnings.append("Hidden text was left out.")
    return draft


class _Styles:
    """What a style says by itself or through those it is based on."""

    def __init__(self, document: Any) -> None:
        self._styles = {style.get(f"{_W}styleId"): style for style in document.styles.element.iter(f"{_W}style")}

    def chain(self, paragraph: Any) -> list[Any]:
        """The paragraph's style and its ancestors, nearest first."""
        found: list[Any] = []
        name = _value(paragraph, "pPr/pStyle")
        while name in self._styles and len(found) < _MAX_DEPTH:
            found.append(self._styles[name])
            name = _value(found[-1], "basedOn")
        return found

    def level(self, paragraph: Any) -> int:
        """The heading level, 0 for none; `Title` is 1."""
        chain = self.chain(paragraph)
        for holder in [paragraph, *chain]:
            outline = _value(holder, "pPr/outlineLvl")
            if outline is not None and outline.isdigit() and int(outline) < 9:
                return int(outline) + 1
        for style in chain:
            name = (_value(style, "name") or "").lower()
            if name == "title":
                return 1
            if name.startswith("heading ") and name[8:].isdigit():
                return int(name[8:])
        return 0


class _Numbering:
    """How a list is numbered, and how far it has come."""

    def __init__(self, document: Any) -> None:
        self._formats: dict[tuple[str, int], str] = {}
        self._counts: Counter[tuple[str, int]] = Counter()
        relations = document.part.rels.values()
        part = next((rel.target_part for rel in relations if rel.reltype.endswith("/numbering")), None)
        root = getattr(part, "element", None)
        if root is None:
            return
        abstract = {entry.get(f"{_W}abstractNumId"): entry for entry in root.iter(f"{_W}abstractNum")}
        for number in root.iter(f"{_W}num"):
            levels = abstract.get(_value(number, "abstractNumId") or "")
            for level in levels.iter(f"{_W}lvl") if levels is not None else ():
                key = (number.get(f"{_W}numId"), int(level.get(f"{_W}ilvl") or 0))
                self._formats[key] = _value(level, "numFmt") or "bullet"

    def mark(self, paragraph: Any, chain: list[Any]) -> tuple[int, str] | None:
        """(level, mark) of a list item, or nothing."""
        for holder in [paragraph, *chain]:
            number = _value(holder, "pPr/numPr/numId")
            if number is None:
                continue
            if number == "0":
                return None
            level = int(_value(holder, "pPr/numPr/ilvl") or 0)
            return level, self._next(number, level)
        names = [(_value(style, "name") or "").lower() for style in chain]
        if any(name.startswith("list number") for name in names):
            return 0, self._next("style", 0, "decimal")
        return (0, "-") if any(name.startswith("list bullet") for name in names) else None

    def _next(self, number: str, level: int, form: str = "") -> str:
        if (form or self._formats.get((number, level), "bullet")) in {"bullet", "none"}:
            return "-"
        self._counts[number, level] += 1
        for key in self._counts:
            if key[0] == number and key[1] > level:
                self._counts[key] = 0
        return f"{self._counts[number, level]}."

    def restart(self) -> None:
        """A list by style alone begins anew."""
        self._counts["style", 0] = 0


class _Reader:
    def __init__(self, draft: Draft, styles: _Styles, numbering: _Numbering) -> None:
        self._draft = draft
        self._styles = styles
        self._numbering = numbering
        self._items: list[str] = []
        self.hidden = False

    def body(self, element: Any, depth: int) -> None:
        """Paragraphs and tables; content controls are looked into."""
        if depth > _MAX_DEPTH:
            raise ParseFault("It is nested too deep.")
        for child in element:
            if child.tag == f"{_W}p":
                self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                self.end_list()
                self._draft.add("table", table_as_facts(self._grid(child)))
            elif child.tag in {f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml", f"{_W}smartTag"}:
                self.body(child, depth + 1)

    def _paragraph(self, paragraph: Any) -> None:
        text = self.text(paragraph).strip()
        if not text:
            return
        level = self._styles.level(paragraph)
        mark = None if level else self._numbering.mark(paragraph, self._styles.chain(paragraph))
        if mark is not None:
            self._items.append(f"{'  ' * min(mark[0], 8)}{mark[1]} {' '.join(text.split())}")
            return
        self.end_list()
        self._draft.add("heading" if level else "prose", text, level=level)

    def end_list(self) -> None:
        """The items so far are a list."""
        if self._items:
            self._draft.add("list", "\n".join(self._items))
            self._items = []
        self._numbering.restart()

    def text(self, element: Any) -> str:
        """The words in an element that a reader sees."""
        words: list[str] = []
        self._gather(element, words, 0)
        return "".join(words)

    def _gather(self, element: Any, words: list[str], depth: int) -> None:
        if depth > 200:
            raise ParseFault("It is nested too deep.")
        for child in element:
            tag = child.tag
            if tag in _GONE or (tag == f"{_W}r" and self._is_hidden(child)):
                continue
            if tag == f"{_W}t":
                words.append(child.text or "")
            elif tag in {f"{_W}tab", f"{_W}ptab"}:
                words.append(" ")
            elif tag in {f"{_W}br", f"{_W}cr"}:
                words.append("\n")
            elif tag == f"{_W}noBreakHyphen":
                words.append("-")
            else:
                self._gather(child, words, depth + 1)
                if tag == f"{_W}p":
                    words.append("\n")

    def _is_hidden(self, run: Any) -> bool:
        """Marked as hidden, or smaller than anyone can read; the size counts half points."""
        mark = run.find(f"{_W}rPr/{_W}vanish")
        size = _value(run, "rPr/sz")
        hidden = (mark is not None and mark.get(f"{_W}val") not in {"0", "false"}) or size in {"0", "1", "2"}
        self.hidden = self.hidden or hidden
        return hidden

    def _grid(self, table: Any) -> list[list[str]]:
        grid: list[list[str]] = []
        for row in table.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl")) is not table:
                continue
            cells: list[str] = []
            for cell in row.iter(f"{_W}tc"):
                if next(cell.iterancestors(f"{_W}tr")) is not row:
                    continue
                merge = cell.find(f"{_W}tcPr/{_W}vMerge")
                goes_on = merge is not None and merge.get(f"{_W}val") != "restart"
                follows = goes_on and grid and len(cells) < len(grid[-1])
                text = grid[-1][len(cells)] if follows else " ".join(self.text(cell).split())
                span = _value(cell, "tcPr/gridSpan") or "1"
                cells.extend([text] * (min(int(span), 60) if span.isdigit() else 1))
            grid.append(cells)
        return grid


def _add_footnotes(draft: Draft, document: Any, reader: _Reader) -> None:
    from docx.oxml.parser import parse_xml

    for relation in document.part.rels.values():
        if relation.reltype.endswith(("/footnotes", "/endnotes")) and not relation.is_external:
            root = parse_xml(relation.target_part.blob)
            for note in [*root.iter(f"{_W}footnote"), *root.iter(f"{_W}endnote")]:
                draft.add("prose", " ".join(reader.text(note).split()))


def _value(element: Any, path: str) -> str | None:
    found = element.find("/".join(f"{_W}{step}" for step in path.split("/")))
    return None if found is None else found.get(f"{_W}val")
