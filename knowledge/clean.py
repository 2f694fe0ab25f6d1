"""What must not reach a reader's eyes or an index: invisible characters, look-alike forms, boilerplate."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from knowledge.parse.draft import Piece

_SPACES = dict.fromkeys([0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " ")
_LINES = dict.fromkeys([0x85, 0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x2028, 0x2029], "\n")
_INVISIBLE = dict.fromkeys(
    [
        *(code for code in range(0x20) if code not in (0x09, 0x0A, 0x0B, 0x0C, 0x1C, 0x1D, 0x1E)),
        *(code for code in range(0x7F, 0xA0) if code != 0x85),
        0xAD,  # soft hyphen
        0x34F,  # combining grapheme joiner
        0x61C,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x180E,
        0x200B,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),  # bidi embeddings and overrides
        *range(0x2060, 0x2070),  # word joiner, invisible operators, bidi isolates
        0x3164,
        *range(0xFE00, 0xFE10),  # variation selectors
        0xFEFF,
        0xFFA0,
        *range(0xFFF0, 0xFFFC),
        *range(0xE0000, 0xE1000),  # tags and more variation selectors: a way to smuggle text
    ],
    "",
)
_BULLETS = dict.fromkeys([0xF0B7, 0xF0A7, 0xF0D8, 0xF076, 0xF0FC], "•")
_LETTERS = {
    code: unicodedata.normalize("NFKC", chr(code))
    for code in [
        *range(0xFB00, 0xFB07),  # ligatures
        *range(0xFF10, 0xFF1A),
        *range(0xFF21, 0xFF3B),
        *range(0xFF41, 0xFF5B),  # full-width letters and digits
        *range(0x1D400, 0x1D800),  # mathematical alphabets used as disguise
    ]
}
_TABLE = _SPACES | _LINES | _INVISIBLE | _BULLETS | _LETTERS
_JOINER = re.compile(
    "(?<![\u0600-\u1fff\u2190-\U0003ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\u1fff\u2190-\U0003ffff])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
_PAGE_NUMBER = re.compile(r"^(?:page\s+)?[-–]?\s*\d{1,4}\s*[-–]?(?:\s*(?:/|of|von|de|sur)\s*\d{1,4})?$", re.I)
_BOILERPLATE_SHARE = 0.5


def clean_text(text: str) -> str:
    """The same text for a reader: composed (NFC), with plain spaces, without what cannot be seen.

    NFKC is applied only where it loses nothing (ligatures, full-width and mathematical letters): m² stays m².
    """
    if text.isascii() and not _CONTROL.search(text):
        return text
    text = unicodedata.normalize("NFC", text).translate(_TABLE)
    return unicodedata.normalize("NFC", _PRIVATE.sub("", _JOINER.sub("", text)))


def clean_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    """Every piece cleaned, blank ones and repeated page headers and footers left out."""
    cleaned = []
    for piece in drop_page_furniture(pieces):
        text = clean_text(piece.text)
        if piece.kind != "code":
            text = "\n".join(_squeeze(line, keep_indent=piece.kind == "list") for line in text.split("\n"))
        text = text.strip("\n") if piece.kind in {"code", "list"} else text.strip()
        if piece.kind == "heading":
            text = " ".join(text.split())
        if text.strip():
            cleaned.append(replace(piece, text=text.rstrip()))
    return cleaned


def drop_page_furniture(pieces: Sequence[Piece]) -> list[Piece]:
    """Without page numbers, and with lines that repeat at the edges of pages only where they stand first."""
    pages: dict[int, list[int]] = {}
    for index, piece in enumerate(pieces):
        if piece.page is not None:
            pages.setdefault(piece.page, []).append(index)
    if len(pages) < 2:
        return list(pieces)
    at_edge = [index for indexes in pages.values() for index in _edge(indexes) if _may_be_furniture(pieces[index])]
    counts = Counter(_shape(pieces[index]) for index in at_edge)
    enough = max(3, int(len(pages) * _BOILERPLATE_SHARE))
    seen: set[str] = set()
    dropped: set[int] = set()
    for index in at_edge:
        shape = _shape(pieces[index])
        if _PAGE_NUMBER.match(pieces[index].text.strip()) or (counts[shape] >= enough and shape in seen):
            dropped.add(index)
        seen.add(shape)
    return [piece for index, piece in enumerate(pieces) if index not in dropped]


def _edge(indexes: Sequence[int]) -> list[int]:
    return sorted({*indexes[:2], *indexes[-2:]}) if len(indexes) > 4 else sorted({indexes[0], indexes[-1]})


def _may_be_furniture(piece: Piece) -> bool:
    return piece.kind in {"prose", "heading"} and len(piece.text) < 150


def _shape(piece: Piece) -> str:
    """What stays the same from page to page: a heading as it is, a line of prose but for its figures."""
    text = " ".join(piece.text.split()).lower()
    return text if piece.kind == "heading" else re.sub(r"\d+", "#", text)


def _squeeze(line: str, *, keep_indent: bool) -> str:
    body = " ".join(line.split())
    indent = line[: len(line) - len(line.lstrip(" "))] if keep_indent else ""
    return indent + body if body else ""
