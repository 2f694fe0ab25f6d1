"""HTML: what a reader of the page would see of its main content, with headings, lists and tables."""

import re
from typing import Any

from knowledge.parse.draft import Draft, ParseFault, table_as_facts
from knowledge.parse.html_visible import Visible

_DROPPED_WORDS = """
script style template noscript iframe object embed svg math canvas audio video map nav aside button select
input textarea dialog head meta link title
"""
_DROPPED = frozenset(_DROPPED_WORDS.split())
_DROPPED_ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "menu"})
_FURNITURE = re.compile(
    r"(?:^|[\s_-])(?:breadcrumbs?|cookies?(?:-?(?:banner|bar|consent|notice|popup))?|site-?(?:header|footer|nav)|sidebar"
    r"|skip-?(?:link|nav)|share-?(?:buttons|links)|pagination)(?:$|[\s_-])",
    re.I,
)
_BANNER = re.compile(r"banner|notice|overlay|popup|modal", re.I)
_INLINE_WORDS = """
a abbr acronym b bdi bdo big br cite code data del dfn em font i img ins kbd label mark q s samp small span
strike strong sub sup time tt u var wbr
"""
_INLINE = frozenset(_INLINE_WORDS.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?([\w-]+)", re.I)
_MAX_DEPTH = 150
_ROWS = frozenset({"tr", "td", "th", "script", "style", "template"})
_INSIDE = {
    "ul": frozenset({"li", "ul", "ol", "script", "template"}),
    "ol": frozenset({"li", "ul", "ol", "script", "template"}),
    "dl": frozenset({"dt", "dd", "div", "script", "template"}),
    "table": frozenset({"caption", "colgroup", "col", "thead", "tbody", "tfoot"}) | _ROWS,
    "thead": frozenset({"tr"}),
    "tbody": frozenset({"tr"}),
    "tfoot": frozenset({"tr"}),
    "tr": frozenset({"td", "th"}),
}


def parse(data: bytes, name: str) -> Draft:
    """The main content of a page; its title, authors, keywords and date from the head."""
    if re.search(rb"<!ENTITY", data[:100_000], re.I):
        raise ParseFault("It declares XML entities, which are refused.")
    root = _tree(data, _encoding(data))
    draft = Draft("text/html")
    if root is None:
        return draft
    _read_head(draft, root)
    main = _main_content(root)
    walk = _Walk(draft, Visible(root), in_article=main.tag in {"main", "article"})
    walk.block(main, 0)
    walk.flush()
    if walk.hidden:
        draft.warnings.append(f"{walk.hidden} hidden element(s) were left out.")
    return draft


def add_fragment(draft: Draft, source: str) -> None:
    """Add HTML that stands inside of another format."""
    root = _tree(source.encode("utf-8", "replace"), "utf-8")
    if root is not None:
        walk = _Walk(draft, Visible(root), in_article=True)
        walk.block(root, 0)
        walk.flush()


def _tree(data: bytes, encoding: str) -> Any:
    from lxml import html

    parser = html.HTMLParser(encoding=encoding, no_network=True, remove_comments=True, remove_pis=True, huge_tree=False)
    return html.document_fromstring(data, parser=parser, ensure_head_body=False) if data.strip() else None


def _encoding(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        declared = _CHARSET.search(data[:4096])
        name = declared[1].decode("ascii", "ignore").lower() if declared else ""
        return name if name and name != "utf-8" else "cp1252"


def _read_head(draft: Draft, root: Any) -> None:
    draft.title = " ".join((root.findtext(".//title") or "").split())
    for meta in root.iter("meta"):
        name = (meta.get("name") or meta.get("property") or "").lower()
        content = " ".join((meta.get("content") or "").split())[:500]
        if not content:
            continue
        if name in {"author", "article:author", "dc.creator"}:
            draft.authors.append(content)
        elif name == "keywords":
            draft.keywords.extend(word.strip() for word in content.split(",") if word.strip())
        elif name in {"article:modified_time", "last-modified", "dcterms.modified", "date", "dc.date"}:
            draft.modified = draft.modified or content


def _main_content(root: Any) -> Any:
    """`<main>`, or the one `<article>`, or the body."""
    for path in (".//main", ".//*[@role='main']"):
        found = root.findall(path)
        if len(found) == 1:
            return found[0]
    articles = [article for article in root.iter("article") if article.getparent().tag != "article"]
    if len(articles) == 1 and len(articles[0].text_content()) > 200:
        return articles[0]
    body = root.find("body")
    return root if body is None else body


class _Walk:
    """Goes through a tree once and turns it into pieces."""

    def __init__(self, draft: Draft, visible: Visible, *, in_article: bool) -> None:
        self._draft = draft
        self._visible = visible
        self._in_article = in_article
        self._line: list[str] = []
        self.hidden = 0

    def flush(self) -> None:
        """End the paragraph that is being gathered."""
        self._draft.add("prose", _words("".join(self._line)))
        self._line = []

    def block(self, element: Any, depth: int) -> None:
        """Add what is inside an element that is a block of its own."""
        if depth > _MAX_DEPTH:
            raise ParseFault("Its elements are nested too deep.")
        self._line.append(element.text or "")
        for child in element:
            self._child(child, depth)
            self._line.append(child.tail or "")

    def _child(self, child: Any, depth: int) -> None:
        tag = child.tag
        if not isinstance(tag, str) or self._skipped(child):
            return
        if tag in _INLINE and not _holds_block(child):
            self._line.append(" " if tag == "br" else self._inline(child))
            return
        self.flush()
        if not _is_proper(child):
            self.block(child, depth + 1)
            self.flush()
        elif tag in _HEADINGS:
            self._draft.add("heading", _words(self._inline(child)), level=_HEADINGS[tag])
        elif tag in {"ul", "ol"}:
            self._draft.add("list", "\n".join(self._items(child, 0)))
        elif tag == "dl":
            self._draft.add("list", "\n".join(self._definitions(child)))
        elif tag == "table":
            self._table(child, depth)
        elif tag == "pre":
            self._draft.add("code", child.text_content())
        else:
            self.block(child, depth + 1)
            self.flush()

    def _skipped(self, element: Any) -> bool:
        if element.tag in _DROPPED or (element.get("role") or "").lower() in _DROPPED_ROLES:
            return True
        if element.tag in {"header", "footer"} and not self._in_article:
            return True
        marks = f"{element.get('class') or ''} {element.get('id') or ''}"
        if _FURNITURE.search(marks) or (_BANNER.search(marks) and "cookie" in element.text_content()[:500].lower()):
            return True
        if self._visible.hides(element):
            self.hidden += 1
            return True
        return False

    def _inline(self, element: Any) -> str:
        """The words of an element and all in it, as one line."""
        if element.tag == "img":
            return f" {element.get('alt') or ''} "
        words = [element.text or ""]
        for child in element:
            if isinstance(child.tag, str) and not self._skipped(child):
                words.append(" " if child.tag == "br" else self._inline(child))
            words.append(child.tail or "")
        if element.tag == "a" and (target := element.get("href") or "").startswith("mailto:"):
            address = target.removeprefix("mailto:").split("?", maxsplit=1)[0]
            words.append("" if address in "".join(words) else f" ({address})")
        return "".join(words) if element.tag in _INLINE else f" {''.join(words)} "

    def _items(self, listing: Any, level: int) -> list[str]:
        items: list[str] = []
        number = _start(listing)
        for item in listing:
            if not isinstance(item.tag, str) or self._skipped(item):
                continue
            if item.tag in {"ul", "ol"}:
                items.extend(self._items(item, level + 1))
                continue
            words, nested = [item.text or ""], []
            for child in item:
                if child.tag in {"ul", "ol"} and not self._visible.hides(child) and level < _MAX_DEPTH:
                    nested.extend(self._items(child, level + 1))
                elif isinstance(child.tag, str) and not self._skipped(child):
                    words.append(" " if child.tag == "br" else self._inline(child))
                words.append(child.tail or "")
            mark = f"{number}." if listing.tag == "ol" else "-"
            number += 1
            if text := _words("".join(words)):
                items.append(f"{'  ' * level}{mark} {text}")
            items.extend(nested)
        return items

    def _definitions(self, listing: Any) -> list[str]:
        """Each term with what is said of it, on one line."""
        items: list[str] = []
        for entry in listing.iter("dt", "dd"):
            text = "" if self._skipped(entry) else _words(self._inline(entry))
            if not text:
                continue
            if entry.tag == "dt" or not items:
                items.append(f"- {text}")
            else:
                items[-1] += f" {text}" if items[-1].endswith((":", ";")) else f": {text}"
                items[-1] += ";" if entry.getnext() is not None and entry.getnext().tag == "dd" else ""
        return items

    def _table(self, table: Any, depth: int) -> None:
        caption = table.find("caption")
        if caption is not None:
            self._draft.add("prose", _words(self._inline(caption)))
        rows = [row for row in table.iter("tr") if next(row.iterancestors("table")) is table and not self._skipped(row)]
        if any(cell.find(".//table") is not None for row in rows for cell in row):  # a table for layout
            for row in rows:
                for cell in row:
                    self.block(cell, depth + 1)
                    self.flush()
            return
        self._draft.add("table", table_as_facts(self._grid(rows)))

    def _grid(self, rows: list[Any]) -> list[list[str]]:
        """Cells by row and column; one that spans several is repeated in each."""
        grid: list[list[str]] = []
        waiting: dict[int, tuple[int, str]] = {}
        for row in rows:
            cells: list[str] = []
            for cell in row:
                if cell.tag not in {"td", "th"} or self._skipped(cell):
                    continue
                _fill(cells, waiting)
                words = _words(self._inline(cell))
                for _ in range(_span(cell, "colspan")):
                    if (height := _span(cell, "rowspan")) > 1:
                        waiting[len(cells)] = (height, words)
                    cells.append(words)
            _fill(cells, waiting)
            waiting = {column: (left - 1, words) for column, (left, words) in waiting.items() if left > 1}
            grid.append(cells)
        return grid


def _fill(cells: list[str], waiting: dict[int, tuple[int, str]]) -> None:
    while len(cells) in waiting:
        cells.append(waiting[len(cells)][1])


def _span(cell: Any, name: str) -> int:
    value = (cell.get(name) or "1").strip()
    return max(1, min(50, int(value))) if value.isascii() and value.isdigit() else 1


def _start(listing: Any) -> int:
    value = (listing.get("start") or "1").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 1


def _holds_block(element: Any) -> bool:
    return any(isinstance(inner.tag, str) and inner.tag not in _INLINE for inner in element.iterdescendants())


def _is_proper(element: Any) -> bool:
    """Whether a list or a table holds only what belongs there; else its text would be in nobody's cell."""
    for holder in element.iter(*_INSIDE) if element.tag in _INSIDE else ():
        if (holder.text or "").strip():
            return False
        for child in holder:
            if (child.tail or "").strip() or (isinstance(child.tag, str) and child.tag not in _INSIDE[holder.tag]):
                return False
    return True


def _words(text: str) -> str:
    return " ".join(text.split())
