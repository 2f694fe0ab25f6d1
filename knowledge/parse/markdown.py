"""Markdown: front matter, headings, lists, tables, code; marks and template tags go, words stay."""

import re
from typing import Any

from knowledge.parse.draft import Draft, table_as_facts
from knowledge.parse.markdown_inline import plain, strip_hidden_html
from knowledge.parse.plain import decode
from knowledge.parse.template_tags import strip_template_tags

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_HEADING = re.compile(r"^ {0,3}(#{1,6})(?:[ \t]+(.*?))?[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-{2,})[ \t]*$")
_RULE = re.compile(r"^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})(.*)$")
_ITEM = re.compile(r"^(\s*)([-*+]|\d{1,4}[.)])(?:[ \t]+(.*)|[ \t]*)$")
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]^]+\]:\s+\S+")
_HTML_TABLE = re.compile(r"<table\b", re.I)
_MAX_FRONT_MATTER = 64_000


def parse(data: bytes, name: str) -> Draft:
    """The front matter gives title, date, authors, keywords and `access`; the body gives the pieces."""
    text = decode(data)
    draft = Draft("text/markdown")
    front = _FRONT.match(text)
    if front and len(front[1]) <= _MAX_FRONT_MATTER:
        _read_front_matter(draft, front[1])
        text = text[front.end() :]
    text = strip_hidden_html(strip_template_tags(text))
    _Body(draft, text.split("\n")).read()
    return draft


def _read_front_matter(draft: Draft, source: str) -> None:
    import yaml

    try:
        loaded: Any = yaml.load(source, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError):
        draft.warnings.append("The front matter is not valid YAML; only its title was read.")
        loaded = {
            key: value.strip().strip("'\"") for key, value in re.findall(r"^(title):[ \t]*(\S.*)$", source, flags=re.M)
        }
        if re.search(r"^access\s*:", source, flags=re.M):
            draft.access = {"allow": [], "deny": []}
            draft.warnings.append("It restricts access in front matter that cannot be read; nobody may see it.")
    if not isinstance(loaded, dict):
        return
    draft.title = _scalar(loaded.get("title"))
    draft.modified = _scalar(loaded.get("last_modified_at") or loaded.get("updated") or loaded.get("date")) or None
    draft.authors = _names(loaded.get("authors") or loaded.get("author"))
    draft.keywords = _names(loaded.get("keywords") or loaded.get("tags"))
    if "access" in loaded:
        draft.access = _access(draft, loaded["access"])


def _access(draft: Draft, value: Any) -> dict[str, list[str]]:
    """`access: [group:people]` or `access: {allow: […], deny: […]}`; anything else lets nobody in."""
    if isinstance(value, str | list):
        value = {"allow": value}
    if not isinstance(value, dict) or not set(value) <= {"allow", "deny"}:
        draft.warnings.append("`access` in the front matter is neither a list nor allow/deny; nobody may see it.")
        return {"allow": [], "deny": []}
    return {"allow": _names(value.get("allow", ["everyone"])), "deny": _names(value.get("deny"))}


def _scalar(value: Any) -> str:
    return " ".join(str(value).split())[:500] if isinstance(value, str | int | float) or hasattr(value, "year") else ""


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.split(",")
    return [name for entry in value if (name := _scalar(entry))][:100] if isinstance(value, list) else []


class _Body:
    """Reads Markdown line by line; `at` is the next line."""

    def __init__(self, draft: Draft, lines: list[str]) -> None:
        self.draft = draft
        self.lines = lines
        self.at = 0

    def read(self) -> None:
        """Add all pieces to the draft."""
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip() or _REFERENCE.match(line):
                self.at += 1
            elif match := _HEADING.match(line):
                self.at += 1
                self._heading(len(match[1]), re.sub(r"(?:^|[ \t]+)#+$", "", match[2] or ""))
            elif _FENCE.match(line):
                self.draft.add("code", "\n".join(self._fence()))
            elif _RULE.match(line):
                self.at += 1
            elif _ITEM.match(line):
                self._list()
            elif self._table_here():
                self._table()
            elif _HTML_TABLE.search(line):
                self._html_table()
            else:
                self._paragraph()

    def _heading(self, level: int, text: str) -> None:
        self.draft.add("heading", plain(re.sub(r"\s*\{#[\w-]+\}\s*$", "", text)), level=level)

    def _fence(self) -> list[str]:
        """The lines inside a fence; `at` ends behind it."""
        opening = _FENCE.match(self.lines[self.at])
        assert opening is not None
        indent, mark = len(opening[1]), opening[2]
        self.at += 1
        inside: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            closing = line.strip()
            if closing.startswith(mark) and not closing.strip(mark[0]):
                break
            inside.append(line[min(indent, len(line) - len(line.lstrip())) :])
        return inside

    def _paragraph(self) -> None:
        gathered: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if gathered and (underline := _UNDERLINE.match(line)):
                self.at += 1
                self._heading(1 if underline[1][0] == "=" else 2, plain(" ".join(gathered)))
                return
            if not line.strip() or (gathered and self._interrupts(line)):
                break
            gathered.append(re.sub(r"^\s*(?:>\s?)+", "", line).strip().removesuffix("\\"))
            self.at += 1
        quoted = [line for line in gathered if line]
        if any(_ITEM.match(line) for line in quoted[1:]) or (quoted and _ITEM.match(quoted[0])):
            _Body(self.draft, quoted).read()  # a list inside a block quote
        else:
            self.draft.add("prose", plain(" ".join(quoted)))

    def _interrupts(self, line: str) -> bool:
        return bool(
            _HEADING.match(line) or _FENCE.match(line) or _RULE.match(line) or _ITEM.match(line) or self._table_here()
        )

    def _table_here(self) -> bool:
        following = self.lines[self.at + 1] if self.at + 1 < len(self.lines) else ""
        return "|" in self.lines[self.at] and "|" in following and bool(_TABLE_RULE.match(following))

    def _table(self) -> None:
        grid = [_cells(self.lines[self.at])]
        self.at += 2
        while self.at < len(self.lines) and "|" in self.lines[self.at] and self.lines[self.at].strip():
            grid.append(_cells(self.lines[self.at]))
            self.at += 1
        self.draft.add("table", table_as_facts([[plain(cell) for cell in row] for row in grid]))

    def _html_table(self) -> None:
        from knowledge.parse.html import add_fragment

        gathered: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            gathered.append(line)
            if "</table" in line.lower():
                break
        add_fragment(self.draft, "\n".join(gathered))

    def _list(self) -> None:
        """Items, nested ones indented by two spaces a level, each on one line with what continues it."""
        items: list[str] = []
        levels: list[tuple[int, int]] = []  # (indent, number of the last item)
        while self.at < len(self.lines):
            line = self.lines[self.at]
            match = _ITEM.match(line)
            if match and not _RULE.match(line):
                self.at += 1
                indent = len(match[1].expandtabs(4))
                while levels and levels[-1][0] > indent:
                    levels.pop()
                if not levels or indent > levels[-1][0] + 1:
                    levels.append((indent, 0))
                number = levels[-1][1] + 1 if levels[-1][1] else int(match[2][:-1]) if match[2][0].isdigit() else 1
                levels[-1] = (levels[-1][0], number)
                mark = f"{number}." if match[2][0].isdigit() else "-"
                items.append(f"{'  ' * (len(levels) - 1)}{mark} {(match[3] or '').strip()}")
            elif not line.strip():
                if not self._list_goes_on():
                    break
                self.at += 1
            elif _FENCE.match(line) and line[:1] in " \t":
                items[-1] += " " + " ".join(part.strip() for part in self._fence())
            elif line[:1] in " \t" or not self._interrupts(line):
                items[-1] += " " + line.strip()
                self.at += 1
            else:
                break
        self.draft.add("list", "\n".join(_keep_indent(item) for item in items))

    def _list_goes_on(self) -> bool:
        """Whether what follows blank lines still belongs to the list: an item, or an indented continuation."""
        ahead = self.at
        while ahead < len(self.lines) and not self.lines[ahead].strip():
            ahead += 1
        if ahead == len(self.lines):
            return False
        line = self.lines[ahead]
        return bool(_ITEM.match(line) and not _RULE.match(line)) or line.startswith(("  ", "\t"))


def _keep_indent(item: str) -> str:
    body = item.lstrip()
    mark, _, words = body.partition(" ")
    return f"{item[: len(item) - len(body)]}{mark} {plain(words)}".rstrip()


def _cells(line: str) -> list[str]:
    body = line.strip().removeprefix("|")
    if body.endswith("|") and not body.endswith("\\|"):
        body = body[:-1]
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", body)]
