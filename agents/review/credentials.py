"""Keys, tokens, passwords, card and account numbers: masked where they stand; a private key is withheld."""

import re
from collections.abc import Iterator

from agents.review.verdict import Surroundings, Verdict
from policies.sensitive import folded, personal, secrets

SECRET_MASK = "[secret removed]"  # noqa: S105 - what stands in its place
NUMBER_MASK = "[payment number removed]"
_TAIL = 120
_DIGIT = re.compile(r"\d")
_ASCII_DIGITS = b"0123456789"
_FEWEST_DIGITS = 10  # no card and no account number has fewer
_SAID_ANCHORS = ("pass", "key", "secret", "token")  # without one of these `_SAID` finds nothing
_SAID = re.compile(
    r"(?i)\b(?:pass(?:word|wd|phrase|code)?|api[ _-]?key|access[ _-]?key|secret|token)\b"
    r"[\"'`*]{0,3}\s*(?:[:=]|is|lautet|est)\s*"
    r"[\"'`*]{0,3}(?P<value>(?=[^\s\"'`*]*\d)(?=[^\s\"'`*]*[A-Za-z])[^\s\"'`*\[]{8,200}[^\s\"'`*.,;:!?\[])"
)
_CARD = re.compile(r"(?<![\w])\d(?:[ \t\-–.\u00a0]?\d){12,18}(?!\w)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ \-\u00a0]?[A-Z0-9]){11,30}", re.IGNORECASE)
_GLUE = re.compile(r"[\s\-–.\u00a0]")


def check_credentials(text: str, around: Surroundings) -> Verdict:
    """Masks what proves itself by form or check digits, also where it began in the text before."""
    tail = around.before[-_TAIL:]
    whole = tail + text
    parts: list[str] = []
    position = len(tail)
    reason = ""
    for start, end, kind in sorted(_spans(whole)):
        if end <= position:
            continue
        if kind == "private-key":
            return Verdict("withhold", "", "a private key")
        reason = "a payment number" if kind == "number" else "a credential"
        parts += [whole[position : max(position, start)], NUMBER_MASK if kind == "number" else SECRET_MASK]
        position = end
    if not parts:
        return Verdict("release", text)
    return Verdict("mask", "".join([*parts, whole[position:]]), reason)


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    for finding in secrets(text):
        yield finding.start, finding.end, finding.kind
    if _may_say_secrets(folded(text)):
        for match in _SAID.finditer(text):
            yield *match.span("value"), "secret"
    if _digits(text) < _FEWEST_DIGITS:
        return
    for finding in personal(text):
        if finding.kind in ("card", "iban"):
            yield finding.start, finding.end, "number"
    for match in _CARD.finditer(text):
        if _luhn(match[0]):
            yield *match.span(), "number"
    for match in _IBAN.finditer(text):
        if (end := _iban_end(match[0])) is not None:
            yield match.start(), match.start() + end, "number"


def _may_say_secrets(lower: str) -> bool:
    for anchor in _SAID_ANCHORS:  # noqa: SIM110 - `any` takes twice the time, and this is asked of every text
        if anchor in lower:
            return True
    return False


def _digits(text: str) -> int:
    if text.isascii():  # a tenth of the time of looking at each character
        return len(text) - len(text.encode().translate(None, _ASCII_DIGITS))
    return len(_DIGIT.findall(text))


def _luhn(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    if len(set(digits)) == 1:
        return False
    doubled = [digit if index % 2 == 0 else digit * 2 - 9 * (digit > 4) for index, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _iban_end(text: str) -> int | None:
    """Where the longest part that proves itself ends; the loose match may have swallowed words that follow."""
    for end in range(len(text), 14, -1):
        compact = _GLUE.sub("", text[:end]).upper()
        whole_word = end == len(text) or not text[end].isalnum()
        if whole_word and 15 <= len(compact) <= 34 and _mod97(compact):
            return end
    return None


def _mod97(iban: str) -> bool:
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1
