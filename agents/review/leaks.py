"""The prompts themselves: an answer that recites them, or their marker, is withheld."""

import re
from collections.abc import Iterable, Sequence

from agents.review.verdict import Surroundings, Verdict

_SHINGLE = 9
_ALL_KNOWN = b"\x01" * _SHINGLE
_WORD = re.compile(r"\w+")


class LeakCheck:
    """Withholds the marker in any spelling, and runs of words that only the prompts hold."""

    def __init__(self, canary: str, protected: Iterable[str]) -> None:
        self._canary = _letters(_words(canary))
        self._shingles = {shingle for text in protected for shingle in _shingles(_words(text))}
        self._vocabulary = {word for shingle in self._shingles for word in shingle}

    def __call__(self, text: str, around: Surroundings) -> Verdict:
        words = _words(around.before[-400:] + text)
        if self._canary and self._canary in _letters(words):
            return Verdict("withhold", "", "internal instructions")
        if self._recites(words):
            return Verdict("withhold", "", "internal instructions")
        return Verdict("release", text)

    def _recites(self, words: Sequence[str]) -> bool:
        known = bytes(map(self._vocabulary.__contains__, words))
        if _ALL_KNOWN not in known:  # most texts never hold so many of the prompts' words in a row
            return False
        return not self._shingles.isdisjoint(_shingles(words))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _letters(words: Sequence[str]) -> str:
    return "".join(words).replace("_", "")


def _shingles(words: Sequence[str]) -> Iterable[tuple[str, ...]]:
    return zip(*(words[index:] for index in range(_SHINGLE)), strict=False)
