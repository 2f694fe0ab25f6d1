"""Does a source say what a claim says of it? Figures, dates and names must stand in it, and its words must be near.

Deterministic and cheap, so it can run on every cited sentence before it is shown. It finds what can be found without
understanding: a wrong figure, date or name, a passage about something else. A claim that turns the source's own words
around passes (evals/README.md, "Support of claims", says how often).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,'’]\d+|[ \u00a0\u202f]\d{3}(?!\d))*")
_ADDRESS = re.compile(r"[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+|\b(?:[\w\-]+\.){2,}[a-z]{2,}\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_PIECE = re.compile(r"[^\W\d_]+")
_SPACE = re.compile(r"\W+")
_CODE = re.compile(r"\b(?=[\w\-/.]*\d)(?=[\w\-/.]*[A-Za-z])[A-Za-z0-9]+(?:[\-/.]\w+)*\b")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|pm|am|h|d|x|k|m|kg|km|cm|mm|s|min|%|°C)?", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?:])[\"”’)*_]*\s+|\n+")
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "k": 1e3, "m": 1e6, "bn": 1e9}
_SCALED = re.compile(r"(\d+(?:[.,]\d+)?)\s*(thousand|million|billion|k|m|bn)\b", re.IGNORECASE)
_NOON = re.compile(r"\b(\d{1,2})(?:[:.]\d\d)?\s*([ap])\.?m\b", re.IGNORECASE)
_COUNTS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_STEM = 5


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_MONTHS = _listed("january february march april may june july august september october november december")
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)}|{'|'.join(name[:3] for name in _MONTHS)}|sept)\b\.?", re.IGNORECASE)
_WEEKDAYS = frozenset(_listed("monday tuesday wednesday thursday friday saturday sunday"))
_FUNCTION = frozenset(
    _listed(
        """the a an and or of to in on at by for from with as is are was were be been has have had it its this that
        these those there their they he she his her we our you your i not no but if when which who whom what how than
        then so also can may must will shall would should could do does did into over under about after before between
        per all any each more most other some such only own same up out new one both during until while because
        therefore"""
    )
)


class Embeds(Protocol):
    """Turns texts into unit vectors; asked only where the words alone leave doubt."""

    async def embed(self, texts: Sequence[str]) -> Any: ...


@dataclass(frozen=True)
class Support:
    """Whether a claim is supported; `missing` names what the sources do not hold."""

    supported: bool
    missing: tuple[str, ...] = ()
    doubtful: bool = False
    """Nothing is missing, but so few of its words stand in the sources that only meaning can tell."""


@dataclass(frozen=True)
class _Content:
    """What a text holds, as far as claims are compared with it."""

    plain: str
    numbers: frozenset[float]
    words: frozenset[str]
    stems: frozenset[str]
    english: bool = field(default=False)


def support(claim: str, sources: Sequence[str], *, least: float = 0.35) -> Support:
    """Whether `sources` together hold the figures, names and at least this share of the telling words of `claim`."""
    said = sentence_of(claim)
    plain = _plain(said)
    if not plain:
        return Support(True)
    held = [_content(source) for source in sources]
    if any(plain in content.plain for content in held):
        return Support(True)
    numbers = frozenset[float]().union(*(content.numbers for content in held))
    figures = list(_numbers(said))
    missing = [text for text, values in figures if not any(_holds(numbers, value) for value in values)]
    words = frozenset[str]().union(*(content.words for content in held))
    stems = frozenset[str]().union(*(content.stems for content in held))
    texts = " ".join(sources).casefold()
    missing += [address for address in _ADDRESS.findall(said) if address.casefold() not in texts]
    missing += [name for name in _names(said) if not _named(name, words)]
    if missing:
        return Support(False, tuple(dict.fromkeys(missing)))
    telling = _telling(said)
    if len(telling) < 4 or len(figures) > 1 or not (_english(said) and any(content.english for content in held)):
        return Support(True)
    share = sum(stem in stems for stem in telling) / len(telling)
    return Support(True, doubtful=share < least)


async def near(claim: str, passages: Sequence[str], embedder: Embeds, *, least: float) -> bool:
    """Whether the claim means about what one of the passages says."""
    vectors = await embedder.embed([sentence_of(claim), *passages])
    return bool(max(float(vector @ vectors[0]) for vector in vectors[1:]) >= least)


def sentence_of(claim: str) -> str:
    """The last sentence of a text: that is what a reference behind it stands for."""
    parts = [part for part in _SENTENCE.split(claim) if any(char.isalnum() for char in part)]
    return parts[-1].strip() if parts else ""


@lru_cache(maxsize=512)
def _content(text: str) -> _Content:
    words = frozenset(word.casefold() for word in _WORD.findall(text))
    pieces = frozenset(piece for word in words for piece in re.split(r"['’\-]", word) if piece)
    every = words | pieces
    values = {value for _, found in _numbers(text) for value in found}
    values |= {float(_COUNTS.index(word) + 2) for word in every if word in _COUNTS}
    return _Content(_plain(text), frozenset(values), every, frozenset(map(_stem, every)), _english(text))


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text).strip().casefold()


def _numbers(text: str) -> Iterable[tuple[str, set[float]]]:
    """Each figure as it is written, and what it may mean: `1,200` is 1200 or, with a decimal comma, 1.2."""
    told = [match.span() for pattern in (_SCALED, _NOON) for match in pattern.finditer(text)]
    for match in _NUMBER.finditer(text):
        if any(start <= match.start() < end for start, end in told):
            continue
        if text[match.end() : match.end() + 1].isalpha() and not _ORDINAL.match(text[match.start() : match.end() + 3]):
            continue
        yield match[0], _values(match[0])
    for match in _SCALED.finditer(text):
        yield match[0], {value * _SCALES[match[2].lower()] for value in _values(match[1])} | _values(match[1])
    for match in _NOON.finditer(text):
        yield match[0], {float(match[1]) % 12 + (12 if match[2].lower() == "p" else 0), float(match[1])}
    for match in _MONTH.finditer(text):
        name = match[1].lower()[:3]
        near_figure = re.search(r"\d", text[max(0, match.start() - 4) : match.end() + 6])
        if name != "may" or near_figure:
            yield match[0], {float([month[:3] for month in _MONTHS].index(name) + 1)}
    for word in _PIECE.findall(text):
        if word.casefold() in _COUNTS:
            yield word, {float(_COUNTS.index(word.casefold()) + 2)}


@lru_cache(maxsize=4096)
def _values(figure: str) -> set[float]:
    parts = re.split(r"[.,'’ \u00a0\u202f]", figure)
    found = {float("".join(parts))}
    if len(parts) > 1:
        found.add(float(f"{''.join(parts[:-1])}.{parts[-1]}"))
        if any(len(part) != 3 for part in parts[1:-1]) or (len(parts) > 2 and len(parts[-1]) != 3):
            found |= {float(part) for part in parts}  # a date: 20.11.2026
    return found


def _holds(numbers: frozenset[float], value: float) -> bool:
    if value in numbers:
        return True
    # Rounded as people round: 11.7 is about 12, 1,234,567 about 1.2 million.
    places = 0 if value == int(value) else len(repr(value).partition(".")[2])
    return any(number != int(number) and round(number, places) == value for number in numbers) or (
        value >= 1e4 and any(abs(number - value) <= 0.05 * value and value % 1e3 == 0 for number in numbers)
    )


def _names(text: str) -> Iterable[str]:
    """Names and identifiers: what is written in capitals where a sentence does not demand it, and what has digits."""
    yield from (code for code in _CODE.findall(text) if not _ORDINAL.fullmatch(code))
    words = list(_WORD.finditer(text))
    inner = [word[0] for word in words[1:] if word[0].casefold() not in _FUNCTION and not word[0].isdigit()]
    capitals = [word for word in inner if word[0].isupper()]
    if len(inner) >= 3 and len(capitals) > 0.4 * len(inner) and not _english(text):
        return  # a heading, or a language that writes its nouns in capitals
    for at, word in enumerate(words):
        name = word[0]
        if not name[0].isupper() or name.casefold() in _FUNCTION or _MONTH.fullmatch(name):
            continue
        if name.casefold() in _WEEKDAYS or any(char.isdigit() for char in name):
            continue
        follows = words[at + 1][0] if at + 1 < len(words) else ""
        led = at > 0 or (name.isupper() and len(name) > 1) or (follows[:1].isupper() and not follows.isupper())
        if led and len(name) > 1:
            yield name


def _named(name: str, words: frozenset[str]) -> bool:
    bare = re.sub(r"['’]s?$", "", name.casefold())
    if bare in words or name.casefold() in words:
        return True
    if len(bare) >= 6 and bare.isalpha() and any(word.startswith(bare[:-2]) for word in words):
        return True  # another form of it: the plural, a case, the people of a country
    pieces = [piece for piece in re.split(r"[\W_]+", bare) if piece]
    return bool(pieces) and all(piece in words for piece in pieces)


def _telling(text: str) -> list[str]:
    found = [word.casefold() for word in _WORD.findall(text)]
    return [
        _stem(word)
        for word in found
        if word not in _FUNCTION and len(word) > 2 and not word.isdigit() and not _MONTH.fullmatch(word)
    ]


def _english(text: str) -> bool:
    found = {word.casefold() for word in _WORD.findall(text[:2000])}
    return len(found & _FUNCTION) >= 2


def _stem(word: str) -> str:
    """Its beginning: enough to tell one word from another, and the same for most of its forms."""
    return word if len(word) <= _STEM else word[: max(_STEM, len(word) - 4)] if len(word) > 9 else word[:_STEM]
