"""Plain text: decoding, paragraphs, lists that people type by hand."""

import codecs
import re

from knowledge.parse.draft import Draft, ParseFault

_ITEM = re.compile(r"^\s*(?:[-*•‣–]|\d{1,3}[.)])\s+\S")
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
    """Paragraphs are separated by blank lines; runs of marked lines are lists."""
    draft = Draft("text/plain")
    add_text(draft, decode(data))
    return draft


def add_text(draft: Draft, text: str, *, page: int | None = None) -> None:
    """Add plain text to a draft, paragraph by paragraph."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        lines = [line.rstrip() for line in paragraph.splitlines() if line.strip()]
        if not lines:
            continue
        if sum(bool(_ITEM.match(line)) for line in lines) < max(2, len(lines) // 3):
            draft.add("prose", "\n".join(line.strip() for line in lines), page=page)
            continue
        intro = next(index for index, line in enumerate(lines) if _ITEM.match(line))
        if intro:
            draft.add("prose", "\n".join(line.strip() for line in lines[:intro]), page=page)
        draft.add("list", "\n".join(_join_items(lines[intro:])), page=page)


def _join_items(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if _ITEM.match(line) or not items:
            items.append(line.strip() if not line.startswith(" ") else line)
        else:
            items[-1] += " " + line.strip()
    return items
