"""Picks a value of a closed set from words: literally, by stem, by a common synonym, by meaning."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from inference.embedded.synonyms import with_synonyms
from inference.embedded.text import STOPWORDS, folded, key_stems, stem, stems

Likeness = Callable[[str], float]
"""How close a label is in meaning to the text at hand, -1..1."""

_SYNONYMS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(names.split()), pattern)
    for names, pattern in (
        (
            "urgent critical highest blocker p1 emergency",
            r"urgent\w*|asap|critical\w*|emergency|immediately|blocking|right away",
        ),
        ("high important major p2", r"high|important|urgent\w*|asap|soon as possible|serious"),
        ("medium normal moderate standard p3 default", r"medium|normal|moderate|regular|standard|ordinary"),
        ("low minor lowest p4 trivial", r"low|minor|trivial|not urgent|no rush|no hurry|whenever"),
        (
            "open active new unresolved pending todo",
            r"open|active|unresolved|outstanding|pending|not (?:yet )?(?:done|closed)",
        ),
        ("closed resolved done completed finished", r"closed?|resolved?|done|complete[d]?|finished|solved|fixed"),
        ("in_progress ongoing started doing", r"in progress|ongoing|underway|being worked on|started"),
        ("cancelled canceled void", r"cancel\w*|called off|void"),
        ("asc ascending oldest lowest", r"ascending|oldest first|lowest first|smallest first|earliest first"),
        (
            "desc descending newest highest latest",
            r"descending|newest first|highest first|largest first|latest first|top \d+",
        ),
        ("day daily days", r"daily|per day|by day|each day|day by day"),
        ("week weekly weeks", r"weekly|per week|by week|each week|week by week"),
        ("month monthly months", r"monthly|per month|by month|each month|month by month"),
        ("quarter quarterly quarters", r"quarterly|per quarter|by quarter|each quarter"),
        ("year yearly annual annually years", r"yearly|annual\w*|per year|by year|each year"),
        ("email e-mail mail", r"e-?mail\w*|mail"),
        ("sms text phone", r"sms|text message|text"),
    )
)


_PERIODS = frozenset({"day", "week", "month", "quarter", "year", "days", "weeks", "months", "quarters", "years"})
_TARGET = re.compile(r"(^|_)(to|target|dest|destination|into|new)(_|$)")
_ORIGIN = re.compile(r"(^|_)(from|source|origin|old)(_|$)")


def pick_side(name: str, values: Sequence[Any], text: str, used: Sequence[Any]) -> Any | None:
    """For a pair such as `from_currency` and `to_currency`: the value on the right side of "to", never the other's."""
    found = [value for value in mentioned(values, text) if value not in used]
    led = r"(?:to|in|into|as)" if _TARGET.search(name) else r"(?:from|of)"
    for value in found:
        if re.search(rf"\b{led}\s+(?:the\s+)?{re.escape(_words(value))}\b", text, re.IGNORECASE):
            return value
    if not found:
        return None
    return found[-1] if _TARGET.search(name) and len(found) + len(used) > 1 else found[0]


def is_sided(name: str) -> bool:
    """Whether a parameter is one end of a pair."""
    return bool(_TARGET.search(name) or _ORIGIN.search(name))


def pick(
    values: Sequence[Any],
    text: str,
    likeness: Likeness | None = None,
    *,
    must: bool = False,
    elsewhere: frozenset[str] = frozenset(),
) -> Any | None:
    """The value that the text names; None when none is named clearly. `must` lets meaning alone decide.

    Words `elsewhere` are whole values of another parameter: they are no short form of a value of this one.
    """
    found = mentioned(values, text)
    if found:
        return found[0]
    for value in values:
        if _synonym(str(value), text):
            return value
    for shorter in (_same_meaning, _without_numbers, _begun):
        short = shorter(values, text)
        if short is not None and not (shorter is _begun and _words(short).split()[0].lower() in elsewhere):
            return short
    proper = all(str(value)[:1].isupper() for value in values)
    if must and likeness and len(values) > 1 and not proper:  # a name is named or it is not: none is "like" another
        ranked = sorted(values, key=lambda value: -likeness(_words(value)))
        first, second = likeness(_words(ranked[0])), likeness(_words(ranked[1]))
        if first >= 0.35 and first - second >= 0.08:
            return ranked[0]
    return None


def _same_meaning(values: Sequence[Any], text: str) -> Any | None:
    """The one ordinary word among the values for which the text has another that means the same."""
    held = set(stems(text))
    plain = [value for value in values if re.fullmatch(r"[a-z]{3,}", str(value)) and value not in _PERIODS]
    fitting = [value for value in plain if with_synonyms((stem(str(value)),)) & held]
    return fitting[0] if len(fitting) == 1 else None


def _without_numbers(values: Sequence[Any], text: str) -> Any | None:
    """The one value that people call by the words before its number: "the mid motor" for "Mid motor 85 Nm"."""
    shorter: dict[str, list[Any]] = {}
    for value in values:
        before = re.match(r"(.*?[^\W\d_]{4,})\s+\d", _words(value))
        if before:
            shorter.setdefault(before[1], []).append(value)
    named = mentioned([short for short, whole in shorter.items() if len(whole) == 1], text)
    return shorter[named[0]][0] if named else None


def _begun(values: Sequence[Any], text: str) -> Any | None:
    """The one value of several words that people call by its first word alone."""
    said = {word.lower(): word for word in re.findall(r"[^\W\d_]{4,}", text)}
    named: dict[str, set[str]] = {}
    for value in values:
        first, *rest = _words(value).split() or [""]
        if rest:
            named.setdefault(first.lower(), set()).add(str(value))
    for first, whole in named.items():
        word = said.get(first)
        if word and len(whole) == 1 and (word[0].isupper() or len(word) > 5):
            return next(value for value in values if str(value) in whole)
    return None


def mentioned(values: Sequence[Any], text: str) -> list[Any]:
    """All values that stand in the text, whole and by stem, in the order of the text; longer ones win over shorter."""
    held = stems(folded(text))
    places: list[tuple[int, int, Any]] = []
    for value in values:
        if str(value).lower() in _PERIODS:
            if _synonym(str(value), text):
                places.append((0, 1, value))
            continue
        spelled = (stems(folded(str(value)).replace("_", " ")), stems(folded(_words(value))))
        at, wanted = max(((_find(each, held), each) for each in spelled if each), default=(-1, ()))
        if str(value) in STOPWORDS and not re.search(rf"\b{str(value).upper()}\b", text):
            continue  # "it" is the department only where somebody writes "IT"
        if at >= 0 and not _negated(str(value), text):
            places.append((at, len(wanted), value))
    kept = [
        place
        for place in places
        if not any(
            other is not place
            and other[0] <= place[0]
            and place[0] + place[1] <= other[0] + other[1]
            and other[1] > place[1]
            for other in places
        )
    ]
    return [value for _, _, value in sorted(kept, key=lambda place: place[0])]


def described(values: Sequence[Any], about: str, text: str) -> Any | None:
    """The value whose own words in a description ("it: computers, accounts. safety: accidents.") the text uses most."""
    held = set(key_stems(text))
    hits: dict[str, int] = {}
    for value in values:
        own = re.search(rf"(?:^|\.\s+){re.escape(str(value))}:\s*([^.]+)", about)
        hits[str(value)] = len(held & set(key_stems(own.group(1)))) if own else 0
    best = max(hits.values(), default=0)
    fitting = [value for value in values if hits[str(value)] == best]
    return fitting[0] if best and len(fitting) == 1 else None


def listed_values(description: str) -> list[str]:
    """Values that a description enumerates in words: "one of: a, b, c" or "'a', 'b' or 'c'"."""
    match = re.search(
        r"(?:one of|either|values?|allowed|options?|choose from)\s*[:(]?\s*([^.;)]{3,300})", description, re.I
    )
    if not match:
        return []
    pieces = re.split(r"\s*(?:,|/|\||\bor\b|\band\b)\s*", match.group(1))
    values = [piece.strip(" '\"`:") for piece in pieces]
    values = [value for value in values if value and len(value.split()) <= 3]
    return values if len(values) > 1 else []


def _words(value: Any) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(value)).replace("_", " ").replace("-", " ")


def _find(wanted: Sequence[str], held: Sequence[str]) -> int:
    size = len(wanted)
    for at in range(len(held) - size + 1):
        if tuple(held[at : at + size]) == tuple(wanted):
            return at
    return -1


def _negated(value: str, text: str) -> bool:
    word = re.escape(_words(value))
    return bool(re.search(rf"\b(?:not|no|without|except|excluding)\s+(?:the\s+|an?\s+|in\s+)?{word}\b", text, re.I))


def _synonym(value: str, text: str) -> bool:
    names = {_words(value).lower().replace(" ", "_"), *key_stems(_words(value)), value.lower()}
    return any(names & group and re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE) for group, pattern in _SYNONYMS)
