"""Free text for titles, bodies, messages and queries: the part of the message that fits the parameter."""

import re

from inference.embedded.arguments.values import quoted
from inference.embedded.intents import ACTION_VERB, clean
from inference.embedded.text import clip

QUERY = re.compile(
    r"^(q|query|question|search|search_?(query|text|term|terms)|keywords?|term|phrase|prompt|ask|input)$"
)
TITLE = re.compile(r"(^|_)(title|subject|summary|headline|topic|name|heading|label)$")
BODY = re.compile(
    r"(^|_)(description|body|message|text|content|contents|comment|note|notes|details?|remark|reply"
    r"|explanation"
    r"|instructions?|request|task|feedback|issue|problem)$"
)
POINTS_BACK = re.compile(
    r"\b(it|that|this|them|those|these|the (?:results?|answer|findings?|summary|numbers?|list|figures?|outcome))\b",
    re.I,
)
REASON = re.compile(r"(^|_)(reason|resolution|outcome|cause|justification)$")
_COMMAND = re.compile(
    rf"^\W*(?:(?:please|then|and|also|now|kindly)\s+)*(?:(?:can|could|would|will) you\s+(?:please\s+)?"
    rf"|i(?:'d| would) like (?:you )?to\s+|i (?:want|need) (?:you )?to\s+|let's\s+)?(?:{ACTION_VERB})\b\s*",
    re.IGNORECASE,
)
_TOPIC = re.compile(
    r"\b(?:about|regarding|concerning|titled|entitled|called|named|with (?:the )?(?:title|subject|name)"
    r"|on the subject of"
    r"|re:?|because of|because|for the fact that|reporting|that reports)\s+(?P<topic>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_LISTED_TOPIC = re.compile(
    r"^\W*(?:list|show|find|get|give|search|look)\b.{0,60}?\b(?:about|on|regarding|concerning|mentioning)\s+(?P<topic>.+)$",
    re.I,
)
_LISTS = re.compile(r"^\W*(?:list|show|which|what|are there|give)\b", re.IGNORECASE)
_SAID = re.compile(
    r"\b(?:saying|that says?|which says?|stating|telling (?:him|her|them|\w+)|to say|with (?:the )?(?:text|message"
    r"|body|comment"
    r"|note|description|content)|noting|explaining|asking (?:him|her|them|\w+)(?= to| if| whether"
    r"| for))\b[\s:,]*(?:that\s+)?"
    r"(?P<said>.+)$|(?<!https)(?<!http):\s+(?P<colon>\S.+)$",
    re.IGNORECASE | re.DOTALL,
)
_BECAUSE = re.compile(r"\bbecause(?: of)?\s+(?P<said>.+)$", re.IGNORECASE | re.DOTALL)
_NAMED = r"[A-ZÀ-Þ][\w'’-]*(?:\s+(?:(?:de|van|von|der|da|of)\s+)?[A-ZÀ-Þ][\w'’-]*)*"
_TOLD = re.compile(
    r"\b(?:[Tt]ell|[Ii]nform|[Nn]otify|[Rr]emind|[Ll]et|[Aa]sk|[Mm]essage|[Ee]-?mail|[Ww]rite to|[Tt]ext|[Pp]ing)\s+"
    rf"(?:the\s+)?(?:[\w.+-]+@[\w.-]+\w|{_NAMED}|[a-z][\w-]*(?=\s+(?:that|know|to)\b))"
    r"\s*[,:]?\s*(?:and\s+(?:ask|tell)\s+(?:him|her|them)\s+)?(?:know\s+)?(?:that\s+|about\s+|[:,]\s*)?"
    r"(?P<said>\S+\s+\S.*)$",
    re.DOTALL,
)
_AFTER_COLON = re.compile(r"^[^:\n]{0,60}(?<!https)(?<!http):\s+(?P<said>\S.+)$", re.DOTALL)
_AFTER_COMMA = re.compile(
    r"^\W*(?:[\w'’-]+\s+){1,7}?(?:ticket|case|request|issue|task)\s*[,–-]\s+(?P<said>\S+\s+\S.+)$",
    re.IGNORECASE | re.DOTALL,
)
_THAT = re.compile(
    r"\bthat\s+(?P<said>(?:the|we|i|our|my|it|there|all|this|a|an|he|she|they)\b.+)$", re.IGNORECASE | re.DOTALL
)
_TRAIL = re.compile(
    r"(?:[\s,;]*\b(?:with|at|and (?:set|give) it|as) (?:an? |the )?(?:\w+ )?priority(?: \w+)?"
    r"|[\s,;]*\bwith \w+ priority"
    r"|(?:\s*[,;]\s*(?:and )?|\s+and )(?:assign|assigned|send|due|priority|label|labelled|cc)\b"
    r"(?:\s+(?:it|this|them))?(?:\s+(?:to|for|by|on))?\b.*"
    r"|[\s,;]*\b(?:please|thanks|thank you)|\s*[,–-]\s*(?:very )?(?:urgent|asap))\W*$",
    re.IGNORECASE | re.DOTALL,
)
MAX_TITLE_CHARS = 80


def query_text(wish: str) -> str:
    """What to search for: the question without politeness and without the order to search."""
    topic = _LISTED_TOPIC.match(clean(wish))
    if topic:
        return topic["topic"].strip(" ?.!")
    bare = clean(wish)
    bare = re.sub(
        r"^\W*(?:(?:search|look|find|check|browse|query)(?:\s+(?:up|for|in|through|out|information|documents?|the"
        r"|our|all"
        r"|knowledge base|handbook|wiki|records?|tickets?))*\s+(?:for|about|on|whether|if|what)?\s*)(?=\w)",
        "",
        bare,
        flags=re.IGNORECASE,
    )
    return bare.strip() or wish.strip()


def title_text(wish: str) -> str:
    """A short title: what is quoted, else what the message says it is about, else the order without its verb."""
    wish = _statement(wish)
    quotes = quoted(wish)
    if quotes:
        return clip(quotes[0][0], MAX_TITLE_CHARS)
    clause = _AFTER_COLON.match(wish) or _AFTER_COMMA.match(wish) or _TOLD.search(wish)
    topic = _TOPIC.search(wish)
    said = _SAID.search(wish) or _THAT.search(wish)
    picked = clause["said"] if clause else topic["topic"] if topic else _said(said) if said else _rest(wish)
    return clip(_tidy(_TRAIL.sub("", _first_sentence(picked)) or picked), MAX_TITLE_CHARS)


def body_text(wish: str, *, beside: str = "") -> str:
    """The text to send or to note: what is quoted or said, else the whole message."""
    wish = _statement(wish)
    quotes = [text for text, _ in quoted(wish) if text != beside]
    if quotes:
        return quotes[-1]
    if beside and quoted(wish):
        return _tidy(clean(wish))
    said = _AFTER_COLON.match(wish) or _AFTER_COMMA.match(wish) or _TOLD.search(wish)
    said = said or _SAID.search(wish) or _THAT.search(wish)
    if said:
        return _tidy(_said(said))
    topic = _TOPIC.search(wish)
    return _tidy(topic["topic"]) if topic else _tidy(clean(wish))


def told(wish: str) -> bool:
    """Whether the words say what to tell to whom."""
    return bool(_TOLD.search(wish))


def lists_only(wish: str) -> bool:
    """Whether the words ask for a list by its properties, and name no topic to search for."""
    return bool(_LISTS.match(clean(wish)) and not _LISTED_TOPIC.match(clean(wish)) and not quoted(wish))


def _statement(wish: str) -> str:
    """A request in the form of a question, without its question mark."""
    return wish.strip().rstrip("?") if re.match(r"^\W*(?:can|could|would|will) you\b", wish, re.I) else wish


def reason_text(wish: str) -> str | None:
    """Why or how, where the words say it: after "because", "that", a colon or a comma, in quotes; else None."""
    wish = _statement(wish)
    quotes = quoted(wish)
    if quotes:
        return quotes[-1][0]
    said = (
        _SAID.search(wish) or _THAT.search(wish) or re.search(r"\bbecause(?: of)?\s+(?P<said>.+)$", wish, re.IGNORECASE)
    )
    said = said or re.search(r"[,;.–]\s+(?P<said>\S+\s+\S.*)$", wish)
    return _tidy(_said(said)) if said else None


def _said(match: re.Match[str]) -> str:
    groups = match.groupdict()
    return next(value for value in groups.values() if value)


def _rest(wish: str) -> str:
    """The order without its verb and its indirect objects: "open a ticket for the broken lift" → "the broken lift"."""
    rest = _COMMAND.sub("", clean(wish))
    inner = re.match(
        r"^(?:an?|the|new|me|us)\b.{0,40}?\b(?:for|on|to)\s+(?P<inner>.+)$", rest, re.IGNORECASE | re.DOTALL
    )
    return inner["inner"] if inner else rest


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s+", text.strip(), maxsplit=1)[0]


def _tidy(text: str) -> str:
    bare = text.strip().strip("\"'“”").rstrip(" .,;:")
    return bare[:1].upper() + bare[1:]
