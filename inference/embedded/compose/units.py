"""Cuts passages into what can be quoted alone: sentences, list items, table rows, code."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from inference.embedded.compose.evidence import Passage
from inference.embedded.text import clip, sentences

MAX_MEANING_CHARS = 300
UnitKind = Literal["sentence", "item", "row", "code"]

_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
ITEM = re.compile(r"^(\s*)(?:[-*+•▪◦‣–]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+(?=\S)")
_FENCE = re.compile(r"^\s*(```|~~~)")
_ROW = re.compile(r"^\s*\|.*\|\s*$")
_FACTS = re.compile(r"^\s*\w[^.:;|]{0,60}: [^;]+(?:; \w[^.:;]{0,60}: [^;]+)+$")
_RULE = re.compile(r"^[\s|:\-+=]+$")


@dataclass(frozen=True)
class Unit:
    """One quotable piece; `lead` is what introduces it, `block` tells which pieces stand in one list or paragraph."""

    text: str
    kind: UnitKind
    passage: int
    block: int
    position: int
    lead: str = ""
    heading: str = ""


@dataclass(frozen=True)
class _Block:
    kind: UnitKind
    pieces: tuple[str, ...]
    heading: str


def units_of(passages: Sequence[Passage]) -> list[Unit]:
    """All units in reading order."""
    units: list[Unit] = []
    block_number = 0
    for index, passage in enumerate(passages):
        lead = ""
        for block in _blocks(passage.text):
            heading = block.heading or passage.heading.rsplit(" › ", 1)[-1]
            for piece in block.pieces:
                if re.search(r"\w", piece) and not _is_title(piece, passage):
                    introduced = lead if block.kind != "sentence" else ""
                    units.append(Unit(piece, block.kind, index, block_number, len(units), introduced, heading))
            if block.kind == "sentence" and block.pieces:
                lead = block.pieces[-1]
            block_number += 1
    return units


def meaning_of(unit: Unit) -> str:
    """The unit as an embedder should see it: under its heading, after what introduces it, without markup."""
    parts = [f"{unit.heading}:" if unit.heading else "", _bare(unit.lead), _bare(unit.text)]
    return clip(" ".join(part for part in parts if part), MAX_MEANING_CHARS)


def _bare(text: str) -> str:
    text = re.sub(r"\]\([^)\s]*\)", "]", text)
    return re.sub(r"\s+", " ", re.sub(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+|[*_`\[\]#|]+", " ", text)).strip()


def _is_title(piece: str, passage: Passage) -> bool:
    """Whether a line only repeats a heading of its passage."""
    line = piece.strip(" #*_:").lower()
    return line in {part.strip(" #*_:").lower() for part in (passage.title, *passage.heading.split(" › "))}


def _blocks(text: str) -> Iterator[_Block]:
    heading = ""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        title = _HEADING.match(line)
        if title:
            heading = title.group(1)
            at += 1
        elif not line.strip():
            at += 1
        elif _FENCE.match(line):
            end = next((i for i in range(at + 1, len(lines)) if _FENCE.match(lines[i])), len(lines))
            yield _Block("code", ("\n".join(lines[at : end + 1]),), heading)
            at = end + 1
        else:
            title_like = _title_like(lines, at)
            if title_like:
                heading = title_like
                at += 1
                continue
            block, at = _reader_of(line)(lines, at, heading)
            yield block


def _reader_of(line: str) -> Callable[[list[str], int, str], tuple[_Block, int]]:
    if _ROW.match(line):
        return _table
    if _FACTS.match(line):
        return _facts
    return _list if ITEM.match(line) else _paragraph


def _title_like(lines: list[str], at: int) -> str:
    """A short line alone that ends like no sentence and has text below it is a heading, whatever marked it."""
    line = lines[at].strip()
    alone = at + 1 < len(lines) and not (at and lines[at - 1].strip()) and any(each.strip() for each in lines[at + 1 :])
    worded = re.fullmatch(r"[^\d.!?:;|`]{2,60}", line.strip("*_ "))
    return line.strip("*_ ") if alone and worded and len(line.split()) <= 7 and line[:1].isupper() else ""


def _facts(lines: list[str], at: int, heading: str) -> tuple[_Block, int]:
    rows: list[str] = []
    while at < len(lines) and _FACTS.match(lines[at]):
        rows.append(lines[at].strip())
        at += 1
    return _Block("row", tuple(rows), heading), at


def _table(lines: list[str], at: int, heading: str) -> tuple[_Block, int]:
    rows: list[list[str]] = []
    ruled = False
    while at < len(lines) and _ROW.match(lines[at]):
        if _RULE.match(lines[at]):
            ruled = ruled or len(rows) == 1
        else:
            rows.append([cell.strip() for cell in lines[at].strip().strip("|").split("|")])
        at += 1
    if ruled and len(rows) > 1:
        facts = tuple(_fact(rows[0], row) for row in rows[1:])
    else:
        facts = tuple(", ".join(cell for cell in row if cell) for row in rows)
    return _Block("row", facts, heading), at


def _fact(header: list[str], row: list[str]) -> str:
    cells = [f"{name}: {cell}" if name else cell for name, cell in zip(header, row, strict=False) if cell]
    return "; ".join([*cells, *(cell for cell in row[len(header) :] if cell)])


def _list(lines: list[str], at: int, heading: str) -> tuple[_Block, int]:
    items: list[str] = []
    while at < len(lines):
        line = lines[at]
        if ITEM.match(line):
            items.append(line.rstrip())
        elif not line.strip():
            following = next((each for each in lines[at + 1 :] if each.strip()), "")
            if not (ITEM.match(following) or following.startswith(("   ", "\t"))):
                break
        elif _HEADING.match(line) or _ROW.match(line) or _FENCE.match(line):
            break
        elif line.startswith((" ", "\t")) or lines[at - 1].strip():
            items[-1] += " " + line.strip()
        else:
            break
        at += 1
    return _Block("item", tuple(items), heading), at


def _paragraph(lines: list[str], at: int, heading: str) -> tuple[_Block, int]:
    parts: list[str] = []
    while at < len(lines) and lines[at].strip() and not _starts_other(lines[at]):
        parts.append(lines[at].strip().removeprefix("> "))
        at += 1
    return _Block("sentence", tuple(sentences(" ".join(parts))), heading), at


def _starts_other(line: str) -> bool:
    return any(pattern.match(line) for pattern in (_HEADING, ITEM, _FENCE, _ROW, _FACTS))
