"""Numbers in text, with the words around them that tell what they count."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from inference.embedded.text import stem
from inference.embedded.vocabulary import listed

_WORDS = {
    word: number
    for number, word in enumerate(
        listed(
            """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty"""
        )
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90, "hundred": 100, "dozen": 12}
_SCALE = {"k": 1e3, "m": 1e6, "thousand": 1e3, "million": 1e6, "bn": 1e9, "billion": 1e9}
_DIGITS = r"\d{1,3}(?:[,’ ]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_NUMBER = re.compile(
    rf"(?<![\w.,#-])(?P<sign>-)?(?P<digits>{_DIGITS})\s?(?P<scale>{'|'.join(_SCALE)})?(?P<percent>\s?%)?(?![\w])"
    rf"|\b(?P<word>{'|'.join(_WORDS)})\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Number:
    """One number and the stems of the words beside it: two before, two after."""

    value: float
    at: tuple[int, int]
    near: frozenset[str]
    percent: bool = False


def find_numbers(text: str, taken: Sequence[tuple[int, int]] = ()) -> list[Number]:
    """Numbers in order, without those that stand inside `taken` spans (dates, ids)."""
    found: list[Number] = []
    for match in _NUMBER.finditer(text):
        if any(match.start() < end and start < match.end() for start, end in taken):
            continue
        if match["word"]:
            value = float(_WORDS[match["word"].lower()])
        else:
            digits = re.sub(r"[,’ ]", "", match["digits"])
            value = float(digits) * _SCALE.get((match["scale"] or "").lower(), 1) * (-1 if match["sign"] else 1)
        before = re.findall(r"[^\W\d_]+", text[: match.start()].lower())[-2:]
        after = re.findall(r"[^\W\d_]+", text[match.end() :].lower())[:2]
        near = frozenset(stem(word) for word in (*before, *after))
        found.append(Number(value, match.span(), near, bool(match["percent"])))
    return found
