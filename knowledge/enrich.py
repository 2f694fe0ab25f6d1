"""What can be said about a text without understanding it: title, language, date, keywords, entities, a summary line."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from knowledge.languages import language_of, stop_words
from knowledge.parse.draft import Piece

_WORD = re.compile(r"\b[^\W\d_](?:[^\W_]|['’-]){2,}\b")
_ADDRESS = re.compile(r"(?<!\S)\S+@\S+|https?://\S+")  # anchored: a long run without an @ is looked at once
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+")
_ENTITIES = (
    re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63}){1,4}\b"),
    re.compile(r"\b(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])\b"),
    re.compile(
        r"\b(?:[0-3]?\d\.?\s+)?(?:January|February|March|April|May|June|July|August|September|October|November|December)"
        r"(?:\s+[0-3]?\d,)?\s+(?:19|20)\d\d\b"
    ),
    re.compile(r"[€$£¥]\s?\d[\d.,]*(?:\s?(?:million|billion|[kMm]\b))?"),
    re.compile(r"\b(?:EUR|USD|GBP|CHF)\s?\d[\d.,]*(?:\s?(?:million|billion)\b)?"),
    re.compile(r"\b\d[\d.,]{0,30}\s?(?:EUR|USD|GBP|CHF|euros?|dollars?)\b"),
    re.compile(r"\b[A-Z]{2,6}-\d{2,8}(?:-\d{1,8})*\b"),
)
_DATE = re.compile(r"((?:19|20)\d\d)-(\d\d?)-(\d\d?)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?")
_MAX_ENTITIES = 50
_SCANNED = 200_000


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What was found out about a document."""

    title: str
    language: str
    modified: str | None
    keywords: tuple[str, ...]
    entities: tuple[str, ...]
    summary: str


def enrich(pieces: Sequence[Piece], text: str, *, title: str, stem: str, modified: str | None) -> Enrichment:
    """Everything that can be found; `title` and `modified` are what the file itself says."""
    language = language_of(text)
    return Enrichment(
        title=title_of(pieces, title, stem),
        language=language,
        modified=date_of(modified),
        keywords=keywords_of(pieces, language),
        entities=entities_of(text),
        summary=summary_of(pieces),
    )


def title_of(pieces: Sequence[Piece], title: str, stem: str) -> str:
    """The file's own title, else its first heading near the top, else its name in words."""
    if title.strip():
        return " ".join(title.split())[:300]
    for piece in pieces[:5]:
        if piece.kind == "heading" and piece.level <= 2:
            return piece.text[:300]
    return " ".join(re.sub(r"[_\-.]+", " ", stem).split())[:300] or "Untitled"


def date_of(value: str | None) -> str | None:
    """An ISO date and time (UTC where no zone is given) from what a file says, or nothing."""
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        match = _DATE.search(value)
        if not match:
            return None
        try:
            found = datetime(*(int(part) for part in match.groups() if part))  # type: ignore[arg-type]
        except ValueError:
            return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def keywords_of(pieces: Sequence[Piece], language: str, *, most: int = 8) -> tuple[str, ...]:
    """Words that this document repeats and that are not common everywhere; those of headings count more."""
    silent = stop_words(language) | stop_words("en")
    counts: Counter[str] = Counter()
    forms: dict[str, Counter[str]] = {}
    for piece in pieces:
        weight = 3 if piece.kind == "heading" else 0 if piece.kind == "code" else 1
        words = _WORD.findall(_ADDRESS.sub(" ", piece.text[:_SCANNED])) if weight else ()
        for word in words:
            key = word.lower().removesuffix("'s").removesuffix("’s")
            if key not in silent and len(key) > 3:
                counts[key] += weight
                forms.setdefault(key, Counter())[word] += 1
    scored = sorted(counts, key=lambda key: (-math.log1p(counts[key]) * math.log(len(key)), key))
    return tuple(forms[key].most_common(1)[0][0] for key in scored if counts[key] > 1)[:most]


def entities_of(text: str) -> tuple[str, ...]:
    """Mail addresses, dates, sums of money and identifiers, in the order of their patterns."""
    found: dict[str, None] = {}
    for pattern in _ENTITIES:
        for match in pattern.finditer(text[:_SCANNED]):
            found.setdefault(match[0].strip(".,"))
            if len(found) >= _MAX_ENTITIES:
                return tuple(found)
    return tuple(found)


def summary_of(pieces: Sequence[Piece]) -> str:
    """The first sentence that says something: at least six words, not a heading."""
    for piece in pieces:
        if piece.kind != "prose":
            continue
        for sentence in _SENTENCE_END.split(piece.text[:5_000]):
            if len(sentence.split()) >= 6 or len(sentence) > 60:
                return " ".join(sentence.split())[:300]
    first = next((piece.text for piece in pieces if piece.kind != "heading"), pieces[0].text if pieces else "")
    return " ".join(first.split("\n", maxsplit=1)[0].split())[:300]
