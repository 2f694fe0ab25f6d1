"""Writes chosen units down: verbatim, in order, merged where they stand side by side, each with its citation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from inference.embedded.compose.evidence import Passage


@dataclass(frozen=True)
class Point:
    """Units of one passage that are shown together; `members` are their positions in the evidence."""

    passage: int
    members: tuple[int, ...]
    lead: str
    texts: tuple[str, ...]


def render(points: Sequence[Point], passages: Sequence[Passage]) -> str:
    """The text of the answer; repeats are dropped, neighbours merged."""
    shown: set[int] = set()
    lines: list[str] = []
    for point in _merged(points):
        fresh = [text for member, text in zip(point.members, point.texts, strict=True) if member not in shown]
        if fresh:
            shown.update(point.members)
            lines.append(_write(point, fresh, f"[#{passages[point.passage].ref}]"))
    return "\n\n".join(lines)


def _write(point: Point, texts: Sequence[str], citation: str) -> str:
    if len(texts) > 1 and _ITEM.match(texts[0]):
        body = "\n".join(f"{text.rstrip()} {citation}" for text in texts)
        return f"{point.lead}\n{body}" if point.lead else body
    if point.lead and _ITEM.match(texts[0]):
        item = _ITEM.sub("", texts[0])
        return f"{point.lead} {item} {citation}" if point.lead.rstrip("*_ ").endswith(":") else f"{item} {citation}"
    return " ".join(f"{_ITEM.sub('', text).strip()} {citation}" for text in texts)


_ITEM = re.compile(r"^\s*(?:[-*+•▪◦‣–]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+")


def _merged(points: Sequence[Point]) -> list[Point]:
    """Sentences that stand side by side in their passage become one point, in reading order."""
    merged: list[Point] = []
    for point in points:
        for at, other in enumerate(merged):
            if other.passage == point.passage and _touch(other, point):
                merged[at] = _join(other, point)
                break
        else:
            merged.append(point)
    return merged


def _touch(first: Point, second: Point) -> bool:
    if (len(first.members) > 1 and first.lead) or (len(second.members) > 1 and second.lead):
        return bool(set(first.members) & set(second.members))
    return any(abs(a - b) <= 1 for a in first.members for b in second.members)


def _join(first: Point, second: Point) -> Point:
    pairs = dict(zip((*first.members, *second.members), (*first.texts, *second.texts), strict=True))
    members = tuple(sorted(pairs))
    return Point(first.passage, members, first.lead or second.lead, tuple(pairs[member] for member in members))
