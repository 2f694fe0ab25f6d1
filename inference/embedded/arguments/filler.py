"""Fills a tool's arguments from what a person wrote, guided by the JSON schema alone."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from inference.embedded.arguments import choices, texts, values
from inference.embedded.arguments.dates import Period, find_periods
from inference.embedded.arguments.numbers import Number, find_numbers
from inference.embedded.schemas import Schema, constants
from inference.embedded.text import key_stems, stem, stems
from inference.embedded.vocabulary import listed

_START = re.compile(
    r"(^|_)(from|since|start|starts|begin|after|start_?date|date_?from|earliest|min_?date|check_?in)(_|$)"
)
_END = re.compile(
    r"(^|_)(to|until|till|end|ends|before|through|end_?date|date_?to|latest|max_?date|check_?out|due)(_|$)"
)
_MACHINE_NAME = re.compile(
    r"(^|_)(cursor|page_token|offset|sql|code|script|token|etag|idempotency_key|callback|format|fields|timezone)$"
)
_DATE_NAME = re.compile(r"(^|_)(date|day|deadline|due|when|month|year|quarter|period|week)(_|$)|_(at|on)$")
_ID_NAME = re.compile(r"(^|_)(id|ids|number|no|nr|key|code|ref|reference|sku|ticket|order|invoice|case|issue)$")
_ID_TAIL = re.compile(r"_?(id|ids|number|no|nr|key|code|ref|reference)$")
_PERSON_NAME = re.compile(
    r"(^|_)(assignee|recipients?|to|cc|person|people|user|username|owner|customer|supplier|employee|manager|contact"
    r"|name"
    r"|author|attendees?|participants?|guest|requester|reviewer|who|colleague|client|vendor)(_|$)"
)
_PLACE_NAME = re.compile(
    r"(^|_)(city|location|place|site|country|region|address|venue|office|warehouse|plant|station|town"
    r"|destination|origin)(_|$)"
)
_ISO_DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?")
_FROM_NAME = re.compile(r"(^|_)(origin|from|source|departure|start)(_|$)")
_TO_NAME = re.compile(r"(^|_)(destination|to|target|arrival|end)(_|$)")
_SIDE_STEMS = frozenset({"after", "befor", "start", "end", "id", "type", "date"})
_WHO = re.compile(
    r"^\W*who(?:'s|’s| is| are| was)\s+(?:(?:the|our|my)\s+)?(?P<who>.+)$"
    r"|\b(?:e-?mail(?: address)?|extension|phone(?: \w+)?|number|address|manager|role|desk) (?:of|for)"
    r" (?:(?:the|our|my)\s+)?(?P<of>.+)$",
    re.IGNORECASE,
)
_COUNTED = frozenset(
    stem(word)
    for word in listed("top first last best worst limit most least up biggest largest smallest highest lowest")
)
_COUNT_NAME = re.compile(r"(^|_)(limit|top|count|max_?results|n|size|page_size|number_of_results|k)(_|$)")


@dataclass(frozen=True)
class Filled:
    """The arguments that the words hold, and the required ones that they do not."""

    arguments: dict[str, Any]
    missing: tuple[str, ...] = ()
    named: int = 0
    by_id: bool = False


@dataclass
class Words:
    """One message and everything in it that has a shape; `found` is what earlier steps found, for "send the result"."""

    text: str
    today: date
    likeness: choices.Likeness | None = None
    found: str = ""
    known: frozenset[str] = frozenset()
    """Whole closed values of all tools at hand, in lower case."""
    periods: list[Period] = field(init=False)
    ids: list[tuple[str, tuple[int, int]]] = field(init=False)
    numbers: list[Number] = field(init=False)

    def __post_init__(self) -> None:
        self.periods = find_periods(self.text, self.today)
        dated = [period.at for period in self.periods]
        found = [(match.group(), match.span()) for match in values.IDENTIFIER.finditer(self.text)]
        self.ids = [(text, at) for text, at in found if not _inside(at, dated)]
        shaped = [at for text, at in self.ids if not text.isdigit()]
        self.numbers = find_numbers(self.text, [*dated, *shaped])


def fill(schema: Schema, words: Words, *, required_only: bool = False) -> Filled:
    """Arguments for one object schema. Optional parameters are set only when the words name a value for them."""
    arguments: dict[str, Any] = dict(constants(schema))
    required = set(schema.get("required", ()))
    missing: list[str] = []
    named = 0
    for name, part in _in_order(schema):
        if name in arguments or (required_only and name not in required):
            continue
        value = _value(name, part, words, arguments, must=name in required)
        if value is not None:
            arguments[name] = value
            named += 1
        elif name in required and "default" not in part:
            missing.append(name)
    known = {text.lstrip("#").lower() for text, _ in words.ids}
    by_id = any(str(arguments.get(name, "")).lower() in known for name in required)
    return Filled(arguments, tuple(missing), named, by_id)


def _in_order(schema: Schema) -> list[tuple[str, Mapping[str, Any]]]:
    """Closed and shaped parameters first, free text last, so that a title is known when the body is written."""
    parts = list(schema.get("properties", {}).items())
    return sorted(parts, key=lambda item: (bool(texts.BODY.search(item[0])), bool(texts.TITLE.search(item[0]))))


def _value(name: str, part: Mapping[str, Any], words: Words, done: Mapping[str, Any], *, must: bool) -> Any | None:
    if _MACHINE_NAME.search(name):
        return None
    if isinstance(part.get("enum"), list):
        if choices.is_sided(name):
            used = [value for key, value in done.items() if choices.is_sided(key)]
            return choices.pick_side(name, part["enum"], words.text, used)
        picked = choices.pick(part["enum"], words.text, words.likeness, must=must, elsewhere=words.known)
        about = str(part.get("description", ""))
        return picked if picked is not None else choices.described(part["enum"], about, words.text)
    readers: dict[str, Callable[[], Any | None]] = {
        "integer": lambda: _number(name, part, words, must=must),
        "number": lambda: _number(name, part, words, must=must),
        "boolean": lambda: _boolean(name, part, words, must=must),
        "array": lambda: _array(name, part, words, done, must=must),
        "object": lambda: _object(part, words, must=must),
    }
    kind = part.get("type", "string")
    return readers[kind]() if kind in readers else _string(name, part, words, done, must=must)


def _object(part: Mapping[str, Any], words: Words, *, must: bool) -> dict[str, Any] | None:
    """A nested object: where it is optional, only with those members that the words call by name."""
    held = set(stems(words.text))
    if not must:
        members = {name: each for name, each in part.get("properties", {}).items() if _called(name, held)}
        part = {**part, "properties": members}
    filled = fill(part, words)
    if filled.missing or not (filled.named or must):
        return None
    return filled.arguments


def _called(name: str, held: set[str]) -> bool:
    wanted = [each for each in key_stems(name.replace("_", " ")) if each not in _SIDE_STEMS]
    return bool(wanted) and any(each in held for each in wanted)


def _array(
    name: str, part: Mapping[str, Any], words: Words, done: Mapping[str, Any], *, must: bool
) -> list[Any] | None:
    items = part.get("items") or {}
    if isinstance(items.get("enum"), list):
        found = choices.mentioned(items["enum"], words.text)
    elif isinstance(items.get("pattern"), str):
        found = list(dict.fromkeys(values.matching(items["pattern"], words.text)))
    elif items.get("type") in ("integer", "number"):
        whole = items["type"] == "integer"
        found = [int(number.value) if whole else number.value for number in words.numbers]
    elif items.get("format") == "email" or "mail" in name:
        found = values.EMAIL.findall(words.text)
    elif _ID_NAME.search(name):
        found = [text for text, _ in words.ids]
    else:
        found = [text for text, _ in values.quoted(words.text)]
        if not found and _PERSON_NAME.search(name):
            found = values.EMAIL.findall(words.text) or [text for text, _ in values.names(words.text)]
        if not found and must:
            single = _string(name.rstrip("s"), items, words, done, must=True)
            found = [single] if single is not None else []
    return found or None


def _boolean(name: str, part: Mapping[str, Any], words: Words, *, must: bool) -> bool | None:
    wanted = [
        each for each in key_stems(name.replace("_", " ")) if each not in {"includ", "only", "is", "with", "show"}
    ]
    text = words.text.lower()
    held = {stem(word): word for word in re.findall(r"[a-z]+", text)}
    if wanted and all(each in held for each in wanted):
        word = held[wanted[0]]
        return not re.search(rf"\b(?:not|no|without|don't|do not|except|excluding|skip)\s+(?:\w+\s+)?{word}", text)
    return False if must and "default" not in part else None


def _number(name: str, part: Mapping[str, Any], words: Words, *, must: bool) -> int | float | None:
    label = {*key_stems(name.replace("_", " ")), *key_stems(str(part.get("description", ""))[:120])}
    fitting = [number for number in words.numbers if _allowed(number.value, part)]
    close = [number for number in fitting if number.near & label]
    if _COUNT_NAME.search(name):
        close = [number for number in fitting if number.near & _COUNTED] or (close if must else [])
    chosen = close[0] if close else fitting[0] if fitting and (must or _only_number(name, fitting)) else None
    if chosen is not None:
        return int(chosen.value) if part.get("type") == "integer" else chosen.value
    if re.search(r"(^|_)year$", name) and words.periods and words.periods[0].start:
        return words.periods[0].start.year
    if re.search(r"(^|_)month$", name) and words.periods and words.periods[0].start:
        return words.periods[0].start.month
    digits = [int(text.lstrip("#")) for text, _ in words.ids if text.lstrip("#").isdigit()]
    return digits[0] if digits and _ID_NAME.search(name) else None


def _only_number(name: str, fitting: list[Number]) -> bool:
    return len(fitting) == 1 and bool(
        re.search(r"(quantity|qty|amount|percent|days|hours|minutes|price|rate|age)", name)
    )


def _allowed(value: float, part: Mapping[str, Any]) -> bool:
    if part.get("type") == "integer" and value != int(value):
        return False
    low, high = part.get("minimum"), part.get("maximum")
    return (low is None or value >= low) and (high is None or value <= high)


def _string(name: str, part: Mapping[str, Any], words: Words, done: Mapping[str, Any], *, must: bool) -> str | None:
    about = str(part.get("description", ""))
    if isinstance(part.get("pattern"), str) and not _date_like(name, part):
        return next(values.matching(part["pattern"], words.text), None)
    if part.get("format") in ("date", "date-time") or _date_like(name, part):
        return _date(name, part, words)
    if part.get("format") == "email" or re.search(r"(^|_)e?-?mail", name):
        found = values.EMAIL.search(words.text)
        return found.group() if found else None
    if part.get("format") in ("uri", "url") or re.search(r"(^|_)(url|uri|link)$", name):
        found = values.URL.search(words.text)
        return found.group() if found else None
    known = choices.mentioned(
        [each for each in part.get("examples", ()) if not re.search(r"\d", str(each))], words.text
    )
    if known:
        return str(known[0])
    listed = choices.listed_values(about)
    if listed and (chosen := choices.pick(listed, words.text, words.likeness, must=must)) is not None:
        return str(chosen)
    shaped = _shaped(name, part, words)
    if shaped is not None:
        return shaped
    return _written(name, words, done, must=must)


def _shaped(name: str, part: Mapping[str, Any], words: Words) -> str | None:
    examples = [str(each) for each in part.get("examples", ()) if re.search(r"\d", str(each))]
    for example in examples:
        shape = re.sub(r"\d+", r"\\d+", re.escape(example))
        found = re.search(rf"(?<![\w-]){shape}(?![\w-])", words.text, re.IGNORECASE)
        if found:
            return found.group()
    lettered = bool(examples) and all(re.search(r"[A-Za-z]", example) for example in examples)
    numbered = re.search(
        rf"\b{_ID_TAIL.sub('', name)}\s*(?:no\.?|number|nr\.?|#)?\s*#?(\d+)\b", words.text, re.IGNORECASE
    )
    if _ID_NAME.search(name) and numbered:
        return numbered.group(1)
    if lettered and _ID_NAME.search(name):
        return None  # what has another shape is the id of something else
    if _ID_NAME.search(name) and words.ids:
        stemmed = set(key_stems(name.replace("_", " ")))
        near = [text for text, at in words.ids if stemmed & set(key_stems(words.text[max(0, at[0] - 25) : at[0]]))]
        return (near or [text for text, _ in words.ids])[0].lstrip("#")
    return None


def _written(name: str, words: Words, done: Mapping[str, Any], *, must: bool) -> str | None:
    text = words.text
    if texts.QUERY.search(name):
        return None if not must and done and texts.lists_only(text) else texts.query_text(text)
    if _PERSON_NAME.search(name) and not re.search(r"(file|display|project|product|event|metric)_?name", name):
        person = values.EMAIL.search(text)
        if person and not name.endswith("name"):
            return person.group()
        named = values.after(
            "to|for|with|assigned to|assign|notify|tell|ask|message|email|e-mail|invite|from|by|is|named", text
        )
        people = [found for found, at in values.names(text) if _could_be_meant(found, text[: at[0]], must=must)]
        chosen = (
            named if named and (named in people or named[0].isupper() or named[0] == "@") else (people or [None])[0]
        )
        if post := _WHO.search(text) if must else None:
            return (post["who"] or post["of"]).strip(" ?.!")
        if chosen or not texts.TITLE.search(name):
            return chosen.lstrip("@") if chosen else (named if must and named and named[0] != "t" else None)
    if _PLACE_NAME.search(name):
        led = (
            "from" if _FROM_NAME.search(name) else "to|into|for" if _TO_NAME.search(name) else "in|at|near|from|to|for"
        )
        place = values.after(led, text)
        used = set(map(str, done.values()))
        places = [found for found, _ in values.names(text) if found not in used]
        return place if place and place[0].isupper() else places[0] if places and must else None
    if words.found and texts.POINTS_BACK.search(text) and (texts.TITLE.search(name) or texts.BODY.search(name)):
        return words.found if texts.BODY.search(name) else texts.title_text(words.found)
    if texts.TITLE.search(name):
        return texts.title_text(text) if must else None
    if texts.REASON.search(name):
        return texts.reason_text(text)
    if texts.BODY.search(name):
        beside = next((str(value) for key, value in done.items() if texts.TITLE.search(key)), "")
        return texts.body_text(text, beside=beside)
    quotes = values.quoted(text)
    if quotes:
        return quotes[0][0]
    named_value = re.search(
        rf"\b{re.escape(name.replace('_', ' '))}\s*(?:is|=|:|of|to|as)?\s+(?P<v>[\w@./+-]+)", text, re.I
    )
    return named_value["v"] if named_value and (must or len(name) > 3) else None


def _could_be_meant(found: str, before: str, *, must: bool) -> bool:
    """Whether a capitalised name may be the person that a parameter wants: not an id, not what a search is about."""
    if re.search(r"\d", found):
        return False
    return must or not re.search(r"\b(?:about|on|regarding|concerning|in|at)\s+(?:the\s+)?$", before)


def _led(name: str) -> str:
    """The prepositions that lead to a place of this name."""
    if _FROM_NAME.search(name):
        return "from"
    return "to|into|for" if _TO_NAME.search(name) else "in|at|near|from|to|for"


def _date_like(name: str, part: Mapping[str, Any]) -> bool:
    if part.get("format") in ("date", "date-time"):
        return True
    examples = [str(each) for each in part.get("examples", ())]
    if examples and all(_ISO_DATE.fullmatch(each) for each in examples):
        return True
    about = str(part.get("description", "")).lower()
    shown = any(re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", str(each)) for each in part.get("examples", ()))
    sided = bool(_START.search(name) or _END.search(name))
    named = bool(_DATE_NAME.search(name) or shown or (sided and re.search(r"\b(date|day)\b", about)))
    return named and not part.get("format") and ("pattern" not in part or bool(re.search(r"\\d|0-9", part["pattern"])))


def _date(name: str, part: Mapping[str, Any], words: Words) -> str | None:
    if not words.periods:
        return None
    period = words.periods[0]
    about = str(part.get("description", "")).lower()
    if _END.search(name) and not _START.search(name):
        day = period.end or (period.start if not _START.search(name) and "due" in name else None)
        if day and re.search(r"\bexclusive\b|\bnot included\b", about) and period.end:
            day = date.fromordinal(day.toordinal() + 1)
    else:
        day = period.start or (None if _START.search(name) else period.end)
    return _written_as(day, name, part) if day else None


def _written_as(day: date, name: str, part: Mapping[str, Any]) -> str:
    pattern, about = str(part.get("pattern", "")), f"{name} {part.get('description', '')}".lower()
    if part.get("format") == "date-time":
        return f"{day.isoformat()}T{'23:59:59' if _END.search(name) else '00:00:00'}Z"
    for text, hint in (
        (day.isoformat(), "yyyy-mm-dd"),
        (f"{day:%Y-%m}", "yyyy-mm"),
        (f"{day.year}-Q{(day.month + 2) // 3}", "yyyy-q"),
        (f"{day:%Y}", "yyyy"),
    ):
        if (pattern and re.fullmatch(pattern, text)) or (not pattern and hint in about):
            return text
    month = not pattern and re.search(r"(^|_)month$", name)
    return f"{day:%Y-%m}" if month else day.isoformat()


def _inside(at: tuple[int, int], spans: list[tuple[int, int]]) -> bool:
    return any(at[0] < end and start < at[1] for start, end in spans)
