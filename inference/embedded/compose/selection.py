"""Which units an answer shows: the best, with the rest of the list, step sequence or introduction they belong to."""

from collections.abc import Sequence

import numpy as np

from inference.embedded.compose.questions import answer_types
from inference.embedded.compose.render import Point
from inference.embedded.compose.scoring import Scores
from inference.embedded.compose.units import Unit

_WORTH = 0.7
_ASIDE_LIST_CHARS = 450


def select(question: str, units: Sequence[Unit], scores: Scores, *, limit: int, max_list_chars: int) -> list[Point]:
    """At most `limit` points, best first."""
    order = np.argsort(-scores.total, kind="stable")
    worth = _WORTH * max(float(scores.total[order[0]]), 0.0)
    steps = "steps" in answer_types(question)
    points: list[Point] = []
    shown: set[int] = set()
    for index in map(int, order):
        if len(points) == limit or scores.total[index] < worth:
            break
        if index in shown:
            continue
        room = max_list_chars if steps and not points else _ASIDE_LIST_CHARS
        point = _point(index, units, room)
        if point is None or (point.kind == "list" and shown.issuperset(point.members[1:])):
            continue
        shown.update(point.members)
        shown.update(i for i, unit in enumerate(units) if unit.passage == point.passage and unit.text == point.lead)
        points.append(point)
    return points


def _point(index: int, units: Sequence[Unit], room: int) -> Point | None:
    unit = units[index]
    if unit.kind == "sentence" and unit.text.rstrip(" *_").endswith(":"):
        below = _block_after(index, units)
        if not below or _size(below, units) > room:
            return None
        return Point(unit.passage, (index, *below), "", tuple(units[i].text for i in (index, *below)), "list")
    if unit.kind == "item":
        members = _block_of(index, units)
        if len(members) > 1 and _size(members, units) <= room:
            return Point(unit.passage, tuple(members), unit.lead, tuple(units[i].text for i in members), "list")
        return Point(unit.passage, (index,), unit.lead, (unit.text,), "item")
    return Point(unit.passage, (index,), "", (unit.text,), unit.kind)


def _block_of(index: int, units: Sequence[Unit]) -> list[int]:
    return [i for i, unit in enumerate(units) if unit.block == units[index].block]


def _block_after(index: int, units: Sequence[Unit]) -> list[int]:
    following = index + 1
    if following >= len(units) or units[following].passage != units[index].passage:
        return []
    return _block_of(following, units) if units[following].kind in ("item", "row") else []


def _size(members: Sequence[int], units: Sequence[Unit]) -> int:
    return sum(len(units[i].text) for i in members)
