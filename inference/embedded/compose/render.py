"""Writes chosen units down: verbatim, merged where they stand side by side, each with its citation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from inference.embedded.compose.evidence import Passage
from inference.embedded.compose.units import ITEM

_LEADING = 3
PointKind = Literal["sentence", "item", "row", "code", "list"]


@dataclass(frozen=True)
class Point:
    """Units of one passage that are shown together; `members` are their positions in the evidence."""

    passage: int
    members: tuple[int, ...]
    lead: str
    texts: tuple[str, ...]
    kind: PointKind = "sentence"


def render(points: Sequence[Point], passages: Sequence[Passage], said: set[str] | None = None) -> str:
    """The text of the answer; neighbouring sentences are merged, and what is in `said` already is not repeated.

    The best points are paragraphs; the rest follows as a list, for it is there to be looked through.
    """
    said = set() if said is None else said
    leading: list[str] = []
    further: list[str] = []
    for point in _merged(points):
        texts = [text for text in point.texts if _key(text) not in said]
        said.update(map(_key, point.texts))
        if not texts or not any(re.search(r"\w", text) for text in texts):
            continue
        written = _write(point, texts, f"[#{passages[point.passage].ref}]")
        if len(leading) < _LEADING or point.kind in ("list", "code"):
            leading.append(written)
        else:
            further.append(written if point.kind == "row" else _bulleted(written))
    return "\n\n".join([*leading, *(["\n".join(["Also found:", *further])] if further else [])])


def _write(point: Point, texts: Sequence[str], citation: str) -> str:
    match point.kind:
        case "list":
            lines = [point.lead] if point.lead else []
            lines += [text if text.rstrip(" *_").endswith(":") else f"{_bulleted(text)} {citation}" for text in texts]
            return "\n".join(lines)
        case "item":
            item = ITEM.sub("", texts[0]).strip()
            introduces = point.lead.rstrip(" *_").endswith(":")
            return f"{point.lead} {item} {citation}" if introduces else f"{item} {citation}"
        case "row":
            return "\n".join(f"- {text} {citation}" for text in texts)
        case "code":
            return f"{texts[0]}\n{citation}"
        case _:
            return " ".join(f"{text.strip()} {citation}" for text in texts)


def _bulleted(text: str) -> str:
    return text.rstrip() if ITEM.match(text) else f"- {text.strip()}"


def _merged(points: Sequence[Point]) -> list[Point]:
    """Sentences or rows that stand side by side in their passage become one point, in reading order."""
    merged: list[Point] = []
    for point in points:
        for at, other in enumerate(merged):
            if point.kind == other.kind and point.kind in ("sentence", "row") and _touch(other, point):
                merged[at] = _join(other, point)
                break
        else:
            merged.append(point)
    return merged


def _touch(first: Point, second: Point) -> bool:
    return first.passage == second.passage and any(abs(a - b) <= 1 for a in first.members for b in second.members)


def _join(first: Point, second: Point) -> Point:
    pairs = dict(zip((*first.members, *second.members), (*first.texts, *second.texts), strict=True))
    members = tuple(sorted(pairs))
    return Point(first.passage, members, "", tuple(pairs[member] for member in members), first.kind)


def _key(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
