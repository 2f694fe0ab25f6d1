"""Sentences, words and stems: the little linguistics that the engine needs, for any language that has spaces."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import snowballstemmer

from inference.embedded.vocabulary import listed

_ABBREVIATIONS = frozenset(
    listed(
        """mr mrs ms dr prof st jr sr inc ltd co corp vs etc e.g i.e eg ie fig no nr vol dept gen col lt u.s u.k u.n
    d.c a.m p.m c ca approx est jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri"""
    )
)
_END = re.compile(r"[.!?][\"”’')\]*_]*\s+(?=[\"“‘'(\[*_`]*[A-Z0-9À-ÞА-Я])|[。！？]")
_WORD = re.compile(r"[^\W_]+(?:['’\-.@/:][^\W_]+)*", re.UNICODE)
_PIECE = re.compile(r"[^\W_]+", re.UNICODE)

STOPWORDS = frozenset(
    listed(
        """a an and any are am as at be been being but by can could did do does doing for from get got had has have
    having he her here hers him his how i if in into is it its just let like may me might mine my of on onto or
    our ours out over own please shall she should so some such than that the their theirs them then there these
    they this those to too up us very was we were what when where which while who whom whose why will with
    within would you your yours not also there's it's i'm i've i'd i'll what's don't doesn't can't isn't kind
    type name much many tell know need want s t re ve ll d m about"""
    )
)


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    return snowballstemmer.stemmer("english")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The English stem of one lower-case word; words of other alphabets come back unchanged."""
    return _stemmer().stemWord(word) if word.isascii() else word


def words(text: str) -> list[str]:
    """Words as a person would count them: `T-1042`, `otp.gsa.gov` and `don't` are one each."""
    return _WORD.findall(text)


@lru_cache(maxsize=8192)
def stems(text: str) -> tuple[str, ...]:
    """Stems of all word pieces, in order, stop words included."""
    return tuple(stem(piece) for piece in _PIECE.findall(text.lower()))


@lru_cache(maxsize=8192)
def key_stems(text: str) -> tuple[str, ...]:
    """Stems of the words that carry meaning, in order."""
    return tuple(stem(piece) for piece in _PIECE.findall(text.lower().replace("’", "'")) if piece not in STOPWORDS)


def folded(text: str) -> str:
    """The text without accents, as people type names of other languages; other letters stay."""
    parts = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(letter for letter in parts if not unicodedata.combining(letter)))


def sentences(text: str) -> list[str]:
    """Sentences, verbatim; abbreviations and initials do not end one."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        before = re.search(r"[\w.]+$", text[start : match.start()])
        last = before.group().lower().rstrip(".") if before else ""
        following = _PIECE.match(text, match.end())
        initial = len(last) == 1 and last.isalpha() and not (following and following.group().lower() in STOPWORDS)
        if text[match.start()] == "." and (last in _ABBREVIATIONS or initial):
            continue
        found.append(text[start : match.end()].strip())
        start = match.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence]


class Rarity:
    """How much each stem tells, learnt from the texts at hand: what stands everywhere tells little."""

    def __init__(self, texts: Iterable[Iterable[str]]) -> None:
        self._count: Counter[str] = Counter()
        self._total = 0
        for stems_of_text in texts:
            self._count.update(set(stems_of_text))
            self._total += 1

    def weight(self, stem_: str) -> float:
        """Inverse document frequency; a stem that was never seen weighs most."""
        seen = self._count[stem_]
        return math.log(1 + (self._total - seen + 0.5) / (seen + 0.5))

    def overlap(self, wanted: Iterable[str], held: Iterable[str]) -> float:
        """Share of the wanted stems' weight that `held` covers, 0..1."""
        want = set(wanted)
        have = set(held)
        total = sum(self.weight(item) for item in want)
        return sum(self.weight(item) for item in want if item in have) / total if total else 0.0


def bigram_share(wanted: Sequence[str], held: Sequence[str]) -> float:
    """Share of neighbouring pairs of `wanted` that stand side by side in `held` too."""
    pairs = list(pairwise(wanted))
    have = set(pairwise(held))
    return sum(pair in have for pair in pairs) / len(pairs) if pairs else 0.0


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, cut at a word, with an ellipsis where something was left out."""
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"
