"""Cuts a message into the separate things that it asks for."""

import re
from dataclasses import dataclass

from inference.embedded.text import key_stems, sentences, stem

_QUESTION_WORD = (
    r"what|what's|how|who|whom|whose|when|where|why|which|is|are|am|was|were|do|does|did|can|could|may|should|must"
    r"|will"
    r"|would|has|have"
)
ACTION_VERB = (
    r"open|create|file|raise|log|submit|send|e-?mail|message|notify|tell|inform|ask|assign|reassign|close|resolve"
    r"|reopen"
    r"|cancel|delete|remove|add|update|change|set|book|order|schedule|comment|post|write|draft|approve|reject"
    r"|escalate"
    r"|register|invite|move|rename|upload|mark|reply|forward|mail|start|stop|restart|publish|report|remind|reserve|request"
)
_FETCH_VERB = r"find|show|list|give|get|tell|look|search|compare|explain|summari[sz]e|check|count|describe|calculate"
_SPLIT = re.compile(
    rf"(?:\s*[,;]\s*|\s+)(?:and|also|then|plus|but)\s+(?:also\s+|then\s+|please\s+)*"
    rf"(?=(?:please\s+)?(?:{_QUESTION_WORD}|{ACTION_VERB}|{_FETCH_VERB}|whether)\b)|\s*;\s+"
    r"|\s*,\s+(?=(?:how (?:many|much|long|often|do|does|is|are)|what(?:'s| is| are| does| do| was| happens))\b)",
    re.IGNORECASE,
)
_SPLIT_STATEMENT = re.compile(
    rf"(?:\s*[,;]\s*|\s+)(?:and|also|then|plus|but)\s+(?:also\s+|then\s+|please\s+)*"
    rf"(?=(?:please\s+)?(?:{ACTION_VERB}|{_FETCH_VERB})\b)|\s*;\s+",
    re.IGNORECASE,
)
"""A statement is not cut where only a question would go on: "I hold a badge and have a trip planned"."""
_WISH = re.compile(r"^\W*i(?:'d| would)? (?:want|need|like|wish|plan|hope|have) to\b", re.IGNORECASE)
_POLITE = re.compile(
    r"^\W*(?:(?:hi|hello|hey|dear \w+|good (?:morning|afternoon|evening)|thanks|thank you|please|kindly|ok(?:ay)?"
    r"|so|and"
    r"|also|then|quick question|just wondering)\b[\s,!.:-]*)+"
    r"|^\W*(?:(?:can|could|would|will) you (?:please |kindly |maybe )?(?:tell me|show me|find out|look up|explain"
    r"|check)"
    r"|(?:do you|would you happen to) know|(?:i )?(?:would|'d) like to know|i(?:'m| am) wondering|i want to know"
    r"|tell me|let me know)\s+(?:about\s+|if\s+|whether\s+)?"
    r"|[\s,]*\b(?:please|thanks(?: in advance| a lot)?|thank you(?: very much)?|thx)\W*$",
    re.IGNORECASE,
)
_ASKS_INSIDE = re.compile(r"[:,–—]\s+(?:what|how|who|whom|whose|when|where|why|which)\b", re.IGNORECASE)
_ASKS = re.compile(rf"\?\s*$|^\W*(?:{_QUESTION_WORD})\b", re.IGNORECASE)


_RULE = re.compile(
    r"\b(?:must|may|should|shall|allowed|entitled|(?:i|we|you|one) have to|supposed to|mandatory|polic(?:y|ies)"
    r"|can (?:i|an?)|do i)\b",
    re.IGNORECASE,
)
_COMMAND_VERB = re.compile(rf"\b(?P<verb>{ACTION_VERB}|note|give|hand|pass|undo|revert|solve|write)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Intent:
    """One thing asked for; `context` and `rest` are what the message said before and after it."""

    text: str
    context: str = ""
    rest: str = ""

    @property
    def whole(self) -> str:
        """The intent with what was said around it, as one text."""
        return " ".join(part for part in (self.context, self.text, self.rest) if part)


def clean(text: str) -> str:
    """The text without greetings and politeness; never empty when the text was not."""
    before, bare = "", text.strip()
    while bare and bare != before:
        before, bare = bare, _POLITE.sub("", bare, count=1).strip()
    return bare or text.strip()


def split_intents(message: str, *, limit: int = 6) -> list[Intent]:
    """The intents of a message in order; statements that lead up to a question become its context."""
    intents: list[Intent] = []
    waiting: list[str] = []
    listed = _sentences(message)
    for at, sentence in enumerate(listed):
        asks = any(_ASKS.search(each) for each in (sentence, clean(sentence)))
        if not asks and _WISH.match(sentence) and any(_ASKS.search(later) for later in listed[at + 1 :]):
            waiting.append(clean(sentence))
            continue
        parts = (_SPLIT if asks or is_request(sentence) else _SPLIT_STATEMENT).split(sentence)
        if waiting and not key_stems(sentence) and _ASKS.search(sentence):
            # "What should I do?" says nothing alone: it asks about what was said before.
            intents.append(Intent(sentence, " ".join(waiting)))
            waiting = []
            continue
        for part in _rejoined([part for part in parts if key_stems(part)]):
            bare = clean(part)
            leads_up = len(parts) > 1 and asks and _ASKS_INSIDE.search(part)
            if leads_up or any(_ASKS.search(each) or is_request(each) for each in (part.strip(), bare)):
                intents.append(Intent(bare, " ".join(waiting)))
                waiting = []
            else:
                waiting.append(bare)
    if waiting and intents:
        last = intents.pop()
        intents.append(Intent(last.text, last.context, " ".join(waiting)))
    elif waiting:
        intents.append(Intent(" ".join(waiting)))
    return intents[:limit] or [Intent(message.strip())]


def is_request(text: str) -> bool:
    """Whether the words ask for something to be done or fetched, in the imperative or as a wish."""
    return bool(
        re.match(
            rf"^\W*(?:please\s+)?(?:(?:can|could|would|will) you\s+(?:please\s+)?|i(?:'d| would) like (?:you )?to\s+"
            rf"|i (?:want|need) (?:you )?to\s+|let's\s+|go ahead and\s+)?(?:{ACTION_VERB}|{_FETCH_VERB})\b"
            r"|^\W*(?:i(?:'d| would) like|i want) to (?:know|see|hear)\b|^\W*whether\b",
            text,
            re.IGNORECASE,
        )
    )


def wants_action(text: str) -> bool:
    """Whether the words ask for something to be changed or sent: "open a ticket", not "how do I open a ticket"."""
    verb = rf"(?:{ACTION_VERB})\b"
    starts = (
        rf"^\W*(?:(?:please|kindly|then|and|also|now|ok(?:ay)?)[\s,]+)*{verb}",
        rf"\b(?:can|could|would|will) you (?:please |kindly |also )*{verb}",
        rf"\bi(?:'d| would) like (?:you )?to (?:please )?{verb}",
        rf"\bi (?:want|need) you to {verb}",
        rf"\b(?:please|kindly|go ahead and|let's) (?:also |then )?{verb}",
    )
    named = (
        r"^\W*(?:an?\s+)?(?:new|another)\s+[\w-]+\s*[:,–-]\s",
        r"^\W*(?:please\s+)?(?:put|leave|make|write|add)\s+(?:an?|another)\s+(?:\w+\s+)?(?:comment|note|remark)\b",
        r"^\W*(?:please\s+)?(?:comment|note)\s+(?:on|to|for)\s",
        r"\blet\s+(?!me\b|us\b)\w+(?:\s+\w+){0,2}\s+know\b",
        r"^\W*(?:please\s+)?(?:make|give|hand over|hand|pass|undo|revert|solve)\s+"
        r"(?:an?|the|this|that|my|it|ticket|\w+_\w+|[A-Za-z]*-?\d[\w-]*)\b"
        r"(?!.*\b(?:list|overview|summary)\b)",
        r"[,;:.]\s*(?:please\s+)?(?:open|close|assign|reopen|send|cancel)\s+(?:it|them|this)\b",
        r"^\W*i(?:'d| would)? (?:need|want|like) (?:an?|the|my|another|this|that) (?:[\w-]+ ){1,3}?"
        r"(?:opened|created|raised|logged|filed|closed|assigned|reopened|sent|cancelled|booked|ordered|updated|changed)\b",
    )
    starts = (*starts, *named)
    asks_back = re.match(r"^\W*(?:how|what|why|when|where|who|which|should|may|am i|do i|can i)\b", text, re.IGNORECASE)
    tells_me = re.match(
        r"^\W*(?:please\s+)?(?:tell|inform|notify|remind|ask|report)\s+me\s+(?!to\b)", text, re.IGNORECASE
    )
    return not asks_back and not tells_me and any(re.search(start, text, re.IGNORECASE) for start in starts)


def asks_for_rule(text: str) -> bool:
    """Whether the words ask what must, may or should be done, rather than what is."""
    return bool(_RULE.search(text))


def command_stem(text: str) -> str:
    """The stem of the verb that orders something; "" where there is none."""
    found = _COMMAND_VERB.search(text)
    return stem(found["verb"].lower().replace("-", "")) if found else ""


def _sentences(message: str) -> list[str]:
    lines = [re.sub(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+", "", line) for line in message.splitlines() if line.strip()]
    return [sentence for line in lines for sentence in sentences(line)]


def _rejoined(parts: list[str]) -> list[str]:
    """Puts back what is too short to stand alone."""
    joined: list[str] = []
    for part in parts:
        if joined and len(key_stems(part)) < 2 and not wants_action(part):
            joined[-1] = f"{joined[-1]} and {part}"
        else:
            joined.append(part)
    return joined
