"""The prompts themselves: an answer that recites them, or their marker, is withheld."""

import re
from collections.abc import Iterable

from agents.review.verdict import Surroundings, Verdict

_SHINGLE = 9
_WORD = re.compile(r"\w+")
_NO_LETTER = re.compile(r"[\W_]+")


class LeakCheck:
    """Withholds the marker in any spelling, and runs of words that only the prompts hold."""

    def __init__(self, canary: str, protected: Iterable[str]) -> None:
        self._canary = _letters(canary)
        self._shingles = {shingle for text in protected for shingle in _shingles(text)}

    def __call__(self, text: str, around: Surroundings) -> Verdict:
        before = around.before[-400:]
        if self._canary and self._canary in _letters(before + text):
            return Verdict("withhold", "", "internal instructions")
        if not self._shingles.isdisjoint(_shingles(before + text)):
            return Verdict("withhold", "", "internal instructions")
        return Verdict("release", text)


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", text.lower())


def _shingles(text: str) -> Iterable[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return zip(*(words[index:] for index in range(_SHINGLE)), strict=False)
