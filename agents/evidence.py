"""What a run may cite: every passage and result that its tools returned, found again by reference.

docs/contracts.md, "Evidence". Nothing that a model writes is a source: a source is what a tool returned.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from runs.events import Source
from toolbus.contracts import ToolOutcome

MAX_QUOTE = 300
_MAX_TEXT = 20_000
_REF = re.compile(r"[0-9a-f]{8}")
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[^\n.!?]+(?:[.!?](?!\s)[^\n.!?]*)*[.!?]*\s*")
_URL = re.compile(r"https?://[^\s<>\"')\]]+")


def reference(text: str) -> str:
    """The reference of a result that brings none of its own."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


class Evidence:
    """The sources of one run. References are unique in it; a passage found twice is kept once, with its best score."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._texts: dict[str, str] = {}
        self._aliases: dict[str, str] = {}
        self._unnamed: set[str] = set()
        self._whole: dict[str, str] = {}
        self._hosts: set[str] = set()
        self._urls: set[str] = set()

    def add(self, outcome: ToolOutcome) -> tuple[Source, ...]:
        """Take up what one call returned; the sources in it, best first."""
        if outcome.status != "ok":
            return ()
        items = _items(outcome)
        if items is not None:
            found = tuple(self._keep(item, outcome.tool) for item in items)
            if len(items) == 1:  # what the model read of it is the whole result
                self._whole[found[0].ref] = outcome.text[:_MAX_TEXT]
            return found
        if not outcome.text.strip():
            return ()
        source = self._keep({"text": outcome.text}, outcome.tool)
        self._unnamed.add(source.ref)
        return (source,)

    def is_named(self, ref: str) -> bool:
        """Whether the tool itself called this evidence."""
        return ref not in self._unnamed

    def alias(self, ref: str, known: str) -> None:
        """Let `ref` mean what `known` means."""
        self._aliases.setdefault(ref, known)

    def find(self, ref: str) -> Source | None:
        """The source behind a reference, or None."""
        return self._sources.get(self._aliases.get(ref, ref))

    def quote(self, ref: str, claim: str) -> str:
        """The passage's own words that come closest to a claim, verbatim and short."""
        return best_quote(self._texts.get(self._aliases.get(ref, ref), ""), claim)

    def backing(self, ref: str) -> str:
        """What a claim that cites this may rest on: the passage, where it stands, what its tool said with it."""
        source = self.find(ref)
        if source is None:
            return ""
        place = " ".join(filter(None, [source.title, source.heading, source.document, source.modified]))
        return "\n".join(filter(None, [place, self._texts[source.ref], self._whole.get(source.ref, "")]))

    def links_to(self, url: str) -> bool:
        """Whether a source lies on this URL's host, or a passage holds exactly this URL."""
        return url in self._urls or (urlsplit(url).hostname or "") in self._hosts

    def report(self, cited: Mapping[str, tuple[int, str]], question: str) -> tuple[Source, ...]:
        """All sources, best first: cited ones, then by score. `cited` maps a reference to its number and quote.

        A result that is no evidence by its own word (a receipt, a list of tables) counts only where it is cited.
        """
        shown = [source for ref, source in self._sources.items() if ref in cited or ref not in self._unnamed]
        done = [self._finished(source, cited.get(source.ref), question) for source in shown]
        return tuple(sorted(done, key=lambda source: (not source.cited, -(source.score or 0.0))))

    def _finished(self, source: Source, cited: tuple[int, str] | None, question: str) -> Source:
        text = self._texts[source.ref]
        number, quote = cited if cited else (None, best_quote(text, question))
        start, end = source.start, source.end
        if start is not None and end is not None and end - start == len(text) and quote:
            start += text.find(quote)
            end = start + len(quote)
        return source.model_copy(
            update={"number": number, "cited": cited is not None, "quote": quote, "start": start, "end": end}
        )

    def _keep(self, item: Mapping[str, Any], tool: str) -> Source:
        whole = _text(item.get("text"))
        text = whole[:_MAX_TEXT]
        source = _source(item, tool, whole)
        known = self._sources.get(source.ref)
        if known is None:
            self._sources[source.ref] = source
            self._texts[source.ref] = text
            self._hosts.update(filter(None, [urlsplit(source.uri).hostname]))
            self._urls.update(url.rstrip(".,;:!?") for url in _URL.findall(text))
            return source
        if (source.score or 0.0) > (known.score or 0.0):
            self._sources[source.ref] = known = known.model_copy(update={"score": source.score})
        return known


def best_quote(text: str, claim: str) -> str:
    """The sentence of `text` that shares most words with `claim`, with its neighbours while they fit."""
    spans = [match.span() for match in _SENTENCE.finditer(text) if text[match.start() : match.end()].strip()]
    wanted = {word for word in _words(claim) if len(word) > 2}
    scores = [len(wanted & set(_words(text[start:end]))) for start, end in spans]
    if not any(scores):
        return text.strip()[:MAX_QUOTE].strip()
    first = last = max(range(len(spans)), key=lambda index: scores[index])
    while True:
        options = [index for index in (first - 1, last + 1) if 0 <= index < len(spans) and scores[index] > 0]
        options.sort(key=lambda index: -scores[index])
        for index in options:
            low, high = min(first, index), max(last, index)
            if spans[high][1] - spans[low][0] <= MAX_QUOTE:
                first, last = low, high
                break
        else:
            break
    return text[spans[first][0] : spans[last][1]].strip()[:MAX_QUOTE].strip()


def _words(text: str) -> Iterable[str]:
    return _WORD.findall(text.lower())


def _items(outcome: ToolOutcome) -> list[Mapping[str, Any]] | None:
    structured = outcome.structured
    if isinstance(structured, Mapping) and isinstance(structured.get("evidence"), list):
        return [item for item in structured["evidence"] if isinstance(item, Mapping)]
    return None


def _source(item: Mapping[str, Any], tool: str, text: str) -> Source:
    ref = _text(item.get("ref")).lower()
    if not _REF.fullmatch(ref):
        ref = reference(text)
    score = _number(item.get("score"))
    return Source(
        ref=ref,
        document=_text(item.get("document")) or tool,
        title=_text(item.get("title")),
        uri=_text(item.get("uri")),
        chunk_id=_text(item.get("chunk_id")),
        heading=_text(item.get("heading")),
        page=_whole(item.get("page")),
        start=_whole(item.get("start")),
        end=_whole(item.get("end")),
        modified=_text(item.get("modified")) or None,
        score=None if score is None else min(max(score, 0.0), 1.0),
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):  # headings may come as a path
        return " › ".join(_text(part) for part in value if part)
    return "" if value is None else str(value)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
