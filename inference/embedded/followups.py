"""Makes a message that leans on what was said before whole, so that each part can be understood alone."""

import re
from collections.abc import Sequence
from datetime import date
from functools import partial

from inference.embedded.arguments.dates import find_periods
from inference.embedded.arguments.values import IDENTIFIER, names
from inference.embedded.beyond import is_beyond
from inference.embedded.intents import Intent, clean, split_intents, wants_action
from inference.embedded.prompt_reader import Turn
from inference.embedded.telling import NEUTRAL, telling_stems
from inference.embedded.text import STOPWORDS, key_stems

_FOLLOW_UP = re.compile(
    r"^\W*(?:and|but|also|what about|how about|and what about|same (?:for|in)|then|only|now|just|ok and)\b"
    r"|^\W*(?:in|at|for|since|with|without|by|per) [\w\s]{2,30}\W*$",
    re.IGNORECASE,
)
_LED_IN = re.compile(
    r"^\W*(?:(?:and|but|also|then|ok|now|only|just|what about|how about|same (?:for|in))\s+)+", re.IGNORECASE
)
_POINTS_BACK = re.compile(
    r"\b(it|its|that|this|they|them|their|those|these|he|she|him|her|the same|there)\b", re.IGNORECASE
)
_PLACED = re.compile(
    r"\b(?P<led>[Ii]n|[Ff]or|[Aa]t|[Oo]f|[Ff]rom|[Bb]y) (?:the )?"
    r"(?P<name>[A-ZÀ-Þ][\w'’-]*(?: [A-ZÀ-Þ0-9][\w'’-]*)*)"
)
_NAMED = re.compile(r"(?:the )?(?P<name>[A-ZÀ-Þ][\w'’-]*(?: [A-ZÀ-Þ0-9][\w'’-]*)*)")
_ONES = re.compile(r"^(?:the |those |these )?(?P<which>[\w-]+) ones?$", re.IGNORECASE)
_OF_IT = re.compile(r"\b(?:(?P<own>its|their|his|hers?)|it|they|them|him)\b", re.IGNORECASE)
_THERE = re.compile(r"(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )\bthere\b(?! (?:is|are|was|were|an?|any)\b)", re.I)


def rewrite(message: str, history: Sequence[Turn], today: date) -> str:
    """A follow-up made whole with the question before it; other messages unchanged."""
    earlier = [turn.text for turn in history if turn.role == "user" and turn.text.strip()]
    if not earlier or wants_action(message) or is_beyond(message):
        return message
    bare = clean(message)
    before = earlier[-1].strip()
    own = key_stems(bare)
    short = len(own) <= 3
    says_nothing = not telling_stems(bare, today)
    goes_on = bool(_FOLLOW_UP.search(message)) and len(own) <= 6
    if not (says_nothing or goes_on or (short and _POINTS_BACK.search(bare))):
        return message
    spelled = _spelled(bare, before) if own and not says_nothing else None
    if spelled is not None:
        return spelled
    addition = _LED_IN.sub("", bare).rstrip("?. ")
    return _put_in(addition, before, today) or (f"{addition}: {before}" if addition else before)


def intents_of(message: str) -> list[Intent]:
    """The parts of a message, each to be understood alone: "its" in a later part is the name of an earlier one."""
    intents: list[Intent] = []
    named, placed = "", ""
    for intent in split_intents(message, limit=6):
        text = _THERE.sub(f"in {placed}", intent.text, count=1) if placed else intent.text
        found = [name for name in (_bare(name) for name, _ in names(f"… {intent.whole}")) if name]
        if not found and named and not wants_action(intent.text):
            text = _OF_IT.sub(partial(_spelled_out, named), text, count=1)
        intents.append(Intent(text, intent.context, intent.rest))
        named = found[-1] if found else named
        places = [match["name"] for match in _PLACED.finditer(intent.whole) if match["led"].lower() in ("in", "at")]
        placed = places[-1] if places else placed
    return intents


def _spelled(bare: str, before: str) -> str | None:
    """The message with "it" replaced by the one record that the question before was about."""
    ids = [match.group() for match in IDENTIFIER.finditer(before)]
    if len(ids) != 1 or not _OF_IT.search(bare) or _FOLLOW_UP.search(bare):
        return None
    return _OF_IT.sub(partial(_spelled_out, ids[0]), bare, count=1)


def _put_in(addition: str, before: str, today: date) -> str | None:
    """The question before with its place, name or period exchanged for the one in `addition`; None where none fits."""
    now, then = find_periods(addition, today), find_periods(before, today)
    around = key_stems(_without(addition, now[0].at)) if len(now) == 1 else ("no time",)
    if not set(around) - (NEUTRAL if not then else set()):
        if len(then) != 1:
            return None if then else f"{before.rstrip('?. ')} {addition}?"
        start, end = then[0].at
        return f"{before[:start]}{addition[now[0].at[0] : now[0].at[1]]}{before[end:]}"
    ones = _ONES.match(addition)
    if ones:
        return f"{before.rstrip('?. ')}, only {ones['which']}"
    place, name = _PLACED.fullmatch(addition), _NAMED.fullmatch(addition)
    if place is None and name is None:
        return None
    new = (place or name)["name"]  # type: ignore[index]
    alike = _alike(new, before, lone=place is None)
    if alike is not None:
        return f"{before[: alike[0]]}{new}{before[alike[1] :]}"
    if place is None:
        return None
    held = [match for match in _PLACED.finditer(before) if match["led"].lower() == place["led"].lower()]
    if not held:
        if place["led"].lower() not in ("in", "at"):
            return None
        return f"{before.rstrip('?. ')} {addition}?"
    start, end = held[-1].span("name")
    return f"{before[:start]}{new}{before[end:]}"


def _alike(name: str, before: str, *, lone: bool) -> tuple[int, int] | None:
    """Where a name stands that shares a word with this one, as two models of one family do, or the only one."""
    wanted = set(key_stems(name))
    held = [(other, (at[0], at[0] + len(other))) for other, at in names(before) if other != name]
    alike = [at for other, at in held if wanted & set(key_stems(other))]
    return alike[0] if alike else held[0][1] if lone and len(held) == 1 else None


def _bare(name: str) -> str:
    """A name without the words before it that only begin a sentence: "Is Nordlys" is about Nordlys."""
    parts = name.split()
    while parts and parts[0].lower() in STOPWORDS:
        parts.pop(0)
    return " ".join(parts)


def _without(text: str, span: tuple[int, int]) -> str:
    return f"{text[: span[0]]} {text[span[1] :]}"


def _spelled_out(name: str, pronoun: re.Match[str]) -> str:
    return f"{name}’s" if pronoun["own"] else name
