"""Which units an answer shows: the best that fit in a number of words, with what they need to be understood."""

import re
from collections.abc import Sequence

import numpy as np

from inference.embedded.compose.questions import answer_types
from inference.embedded.compose.render import Point
from inference.embedded.compose.scoring import Scores
from inference.embedded.compose.units import Unit

_WORTH = 0.65
_COST_OF_A_WORD = 0.005
"""What a unit loses for its length: of two that fit alike the shorter one leaves room for a third."""
_ASIDE_SENTENCE_CHARS = 220
_MOST_AFTER = 2
_SHORT_LIST_WORDS = 35
_POINTS_BACK = re.compile(
    r"\W*(?:they|it|this|these|those|that|he|she|such|otherwise|however|then|after that|in (?:this|that) case)\b", re.I
)


def select(question: str, units: Sequence[Unit], scores: Scores, *, max_words: int, max_list_words: int) -> list[Point]:
    """Points of at most `max_words` words, best first; the first one is shown however long it is.

    A question for steps gets the best list or sequence whole, up to `max_list_words`, before everything else.
    """
    lengths = np.array([words_in(unit.text) for unit in units])
    order = np.argsort(-(scores.total - _COST_OF_A_WORD * lengths), kind="stable")
    worth = _WORTH * max(float(scores.total.max()), 0.0)
    steps = "steps" in answer_types(question)
    points: list[Point] = []
    shown: set[int] = set()
    left = max_words
    for index in map(int, order):
        if left <= 0:
            break
        if index in shown or scores.total[index] < worth:
            continue
        point = _fitting(index, units, left, max_list_words if steps else _SHORT_LIST_WORDS)
        if point is None or shown.issuperset(point.members):
            continue
        whole = steps and point.kind == "list"
        if points and not whole and _size(point.members, units) > left:
            continue
        left -= _size([member for member in point.members if member not in shown], units)
        shown.update(point.members)
        shown.update(i for i, unit in enumerate(units) if unit.passage == point.passage and unit.text == point.lead)
        points.insert(0 if whole else len(points), point)
        steps = steps and not whole
    return points


def words_in(text: str) -> int:
    """Words as they are counted for the length of an answer."""
    return len(text.split())


def _fitting(index: int, units: Sequence[Unit], left: int, room: int) -> Point | None:
    """The unit with what belongs to it where that fits, else alone."""
    unit = units[index]
    if unit.kind == "sentence" and unit.text.rstrip(" *_").endswith(":"):
        below = _block_after(index, units)
        if not below or _size(below, units) > max(room, min(left, _SHORT_LIST_WORDS)):
            return None
        return Point(unit.passage, (index, *below), "", tuple(units[i].text for i in (index, *below)), "list")
    if unit.kind == "item":
        members = _block_of(index, units)
        if len(members) > 1 and _size(members, units) <= room:
            return Point(unit.passage, tuple(members), unit.lead, tuple(units[i].text for i in members), "list")
        return Point(unit.passage, (index,), unit.lead, (unit.text,), "item")
    members = _with_references(index, units) if unit.kind == "sentence" else (index,)
    if _size(members, units) > left:
        members = (index,)
    return Point(unit.passage, members, "", tuple(units[i].text for i in members), unit.kind)


def _with_references(index: int, units: Sequence[Unit]) -> tuple[int, ...]:
    """The sentence with the one before it, where it points back, and those after it that do: "They must …"."""
    first = last = index
    if _POINTS_BACK.match(units[index].text) and _follows(index, units):
        first = index - 1
    while last - index < _MOST_AFTER and _follows(last + 1, units) and _POINTS_BACK.match(units[last + 1].text):
        last += 1
    return tuple(range(first, last + 1))


def _follows(index: int, units: Sequence[Unit]) -> bool:
    """Whether a unit is a short sentence of the same paragraph as the unit before it."""
    if not 0 < index < len(units):
        return False
    before, unit = units[index - 1], units[index]
    return (before.kind, before.block) == (unit.kind, unit.block) and len(unit.text) <= _ASIDE_SENTENCE_CHARS


def _block_of(index: int, units: Sequence[Unit]) -> list[int]:
    return [i for i, unit in enumerate(units) if unit.block == units[index].block]


def _block_after(index: int, units: Sequence[Unit]) -> list[int]:
    following = index + 1
    if following >= len(units) or units[following].passage != units[index].passage:
        return []
    return _block_of(following, units) if units[following].kind in ("item", "row") else []


def _size(members: Sequence[int], units: Sequence[Unit]) -> int:
    return sum(words_in(units[i].text) for i in members)
