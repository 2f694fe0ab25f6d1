"""Chooses tools for a task and fills their arguments; asks back where a needed value is missing."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from inference.embedded.arguments import texts
from inference.embedded.arguments.filler import Filled, Words, fill
from inference.embedded.arguments.values import names
from inference.embedded.intents import ACTION_VERB, Intent, clean, command_stem, split_intents, wants_action
from inference.embedded.schemas import Offer, parameter_words
from inference.embedded.settings import EmbeddedSettings
from inference.embedded.telling import telling_stems
from inference.embedded.text import Rarity, clip, key_stems, sentences, stems
from inference.embedded.vectors import VectorCache, Vectors

_WRITE = re.compile(
    rf"^(?:{ACTION_VERB}|append|insert|modify|edit|put|patch|replace|grant|revoke|enable|disable|pay|refund"
    rf"|transfer|deploy"
    r"|execute|run_command|make|upsert|drop|purge|archive|restore|merge|kill)(?:_|s?\b)",
    re.IGNORECASE,
)
_READ = re.compile(
    r"^(?:get|list|find|search|query|read|look|fetch|show|describe|count|check|view|browse|run_select|report)", re.I
)
SEARCH_LIMIT = 8
_WHICH = re.compile(r"(^|_)(id|ref|document|passage|path|file|url|uri|key|number)$", re.IGNORECASE)
_NO_FIT = 0.15
_FITS = 0.7
"""What one of many closed variants must reach, where question and variant are wholly spelled out; less is a guess."""
_FITS_UNSHOWN = 0.3
"""The same for a variant that gives no examples of what to ask."""
_COVERS = 0.34
"""Share of the question that such a variant must know: one that speaks of other things declines."""
_STRANGER = 0.15
"""What a name in the question costs that a variant has no place for: its answer would be about everything else."""
_MAX_EXAMPLES = 6
_RECIPIENT = frozenset({"to", "recipient", "recipients", "email", "address", "attendees"})
_NEARLY = 0.25
_SEARCH = re.compile(r"search|find|query|look ?up|retrieve", re.IGNORECASE)


@dataclass(frozen=True)
class Call:
    """One tool call to make."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """The calls for a task, or the words to say when there is none to make."""

    calls: tuple[Call, ...] = ()
    reply: str = ""


@dataclass(frozen=True)
class _Ranked:
    offer: Offer
    score: float
    filled: Filled
    covered: float = 1.0


class ToolChooser:
    """Matches what is asked with what is offered."""

    def __init__(self, vectors: VectorCache, settings: EmbeddedSettings) -> None:
        self._vectors = vectors
        self._settings = settings

    async def choose(
        self, wish: str, offers: Sequence[Offer], today: date, *, must: bool = False, found: str = ""
    ) -> Choice:
        """Calls for every intent of the wish that some offer serves; `must` calls the best one in any case.

        `found` is what earlier steps found: the text to send where the wish speaks of "it" or "the result".
        """
        intents = _merged(split_intents(wish, limit=self._settings.max_parallel_calls))
        labels = await asyncio.to_thread(_labels, offers)
        asked = [clip(clean(intent.text), 600) for intent in intents]
        choices = [value for offer in offers for value in _enum_labels(offer)][:200] if len(offers) <= 40 else []
        samples = [example for offer in offers for example in offer.examples[:_MAX_EXAMPLES]]
        vectors = await self._vectors.embed([*asked, *labels, *samples, *choices])
        start = len(asked) + len(labels)
        meaning = vectors[: len(asked)] @ vectors[len(asked) : start].T
        meaning = _with_examples(meaning, offers, vectors[: len(asked)] @ vectors[start : start + len(samples)].T)
        likeness = vectors[: len(asked)] @ vectors[start + len(samples) :].T
        matching = _Matching(intents, offers, meaning, _Likes(choices, likeness), today, must, found)
        return await asyncio.to_thread(self._decide, matching)

    def _decide(self, matching: "_Matching") -> Choice:
        rarity = Rarity([set(key_stems(_text(offer))) for offer in matching.offers])
        calls: list[Call] = []
        asks: list[str] = []
        for at, intent in enumerate(matching.intents):
            words = Words(intent.whole, matching.today, matching.likes.of(at), matching.found)
            best = _best(self._rank(intent, matching.offers, matching.meaning[at], rarity, words))
            if best is None or (not matching.must and not _fits(best)):
                continue
            if best.filled.missing:
                asks.append(ask_for(best.offer, best.filled.missing))
                continue
            call = Call(best.offer.tool, best.offer.arguments(_generous(best.offer, best.filled.arguments)))
            if call not in calls:
                calls.append(call)
        return Choice(tuple(calls[: self._settings.max_parallel_calls]), "" if calls else " ".join(dict.fromkeys(asks)))

    def _rank(
        self, intent: Intent, offers: Sequence[Offer], meaning: Any, rarity: Rarity, words: Words
    ) -> list[_Ranked]:
        wanted = telling_stems(intent.text, words.today) or key_stems(intent.text)
        action = wants_action(intent.text)
        tells = action and texts.told(intent.text)
        verb = command_stem(intent.text) if action else ""
        strangers = [name for name, _ in names(intent.text) if key_stems(name)]
        ranked: list[_Ranked] = []
        for offer, cosine in zip(offers, meaning, strict=True):
            writes = is_write(offer)
            if writes and not action:
                continue
            own = key_stems(_text(offer))
            receives = bool(tells and _RECIPIENT & set(offer.schema.get("properties", {})))
            label = key_stems(offer.label)
            named = rarity.overlap(wanted, label)
            filled = fill(offer.schema, words)
            if not filled.named and _says_which(offer):
                continue
            covered = rarity.overlap(wanted, {*own, *key_stems(offer.about), *_value_stems(offer, filled)})
            score = float(cosine) + 0.4 * covered + 0.5 * named + (0.25 if action and writes else 0.0)
            score += 0.05 * min(filled.named, 3) - 0.1 * len(filled.missing)
            score += 0.45 if filled.by_id else 0.0
            understood = {*own, *key_stems(offer.about), *_value_stems(offer, filled)}
            if offer.variant and any(not understood & set(key_stems(name)) for name in strangers):
                score -= _STRANGER
            if writes:
                score += 0.3 if verb in label[:1] else 0.2 if verb in own else -0.1
                score += 0.4 if receives else 0.0
            ranked.append(_Ranked(offer, score, filled, covered))
        return sorted(ranked, key=lambda each: -each.score)


@dataclass(frozen=True)
class _Matching:
    """What one choice is made from; `meaning` has a row for each intent and a column for each offer."""

    intents: Sequence[Intent]
    offers: Sequence[Offer]
    meaning: Any
    likes: "_Likes"
    today: date
    must: bool
    found: str


def _best(ranked: Sequence[_Ranked]) -> _Ranked | None:
    """The best offer, or one nearly as good for which nothing is missing."""
    if not ranked:
        return None
    complete = next((each for each in ranked if not each.filled.missing), ranked[0])
    return complete if ranked[0].score - complete.score <= _NEARLY else ranked[0]


def _fits(best: _Ranked) -> bool:
    """Whether the best offer serves the question, or is only the least unlike of many."""
    if best.filled.by_id:
        return True
    if best.offer.variant:
        return best.score >= _FITS and best.covered >= _COVERS if best.offer.examples else best.score >= _FITS_UNSHOWN
    return best.score >= _NO_FIT and (is_search(best.offer) or is_write(best.offer) or best.covered > 0)


def _says_which(offer: Offer) -> bool:
    """Whether a reading tool must be told which thing to read, though its schema leaves every way to say it open."""
    if offer.variant or is_search(offer) or offer.schema.get("required"):
        return False
    return any(_WHICH.search(name) for name in offer.schema.get("properties", {}))


def _value_stems(offer: Offer, filled: Filled) -> set[str]:
    """Stems of the closed values that were found in the words: they are understood, whatever they are."""
    properties = offer.schema.get("properties", {})
    closed = [str(value) for name, value in filled.arguments.items() if "enum" in properties.get(name, {})]
    return set(stems(" ".join(closed).replace("_", " ")))


class _Likes:
    """Meaning of enum values against each intent."""

    def __init__(self, labels: Sequence[str], table: Any) -> None:
        self._column = {label: at for at, label in enumerate(labels)}
        self._table = table

    def of(self, intent: int) -> Callable[[str], float]:
        """Likeness to one intent."""

        def like(label: str) -> float:
            column = self._column.get(label)
            return float(self._table[intent, column]) if column is not None else 0.0

        return like


def _generous(offer: Offer, arguments: dict[str, Any]) -> dict[str, Any]:
    """Asks a search for as many passages as this engine reads well, where the default is fewer."""
    limit = offer.schema.get("properties", {}).get("limit", {})
    fewer = isinstance(limit.get("default"), int) and limit["default"] < SEARCH_LIMIT
    if is_search(offer) and fewer and "limit" not in arguments and limit.get("maximum", 0) >= SEARCH_LIMIT:
        return {**arguments, "limit": SEARCH_LIMIT}
    return arguments


def is_write(offer: Offer) -> bool:
    """Whether a tool changes something, judged by its name, then by how its description begins."""
    name = offer.tool.rsplit("__", 1)[-1]
    if _READ.match(name):
        return False
    return bool(_WRITE.match(name) or _WRITE.match(offer.description.lstrip()))


def is_search(offer: Offer) -> bool:
    """Whether a tool looks things up by free text."""
    properties = offer.schema.get("properties", {})
    return (
        not is_write(offer) and bool(_SEARCH.search(offer.label)) and bool({"query", "q", "question"} & set(properties))
    )


def ask_for(offer: Offer, missing: Sequence[str]) -> str:
    """A question back that names what is missing, in the words of the tool's own schema."""
    properties = offer.schema.get("properties", {})
    parts = []
    for name in missing:
        part = properties.get(name, {})
        about = sentences(str(part.get("description", "")))
        values = [str(value) for value in part.get("enum", ())][:8]
        said = name.replace("_", " ")
        detail = about[0].rstrip(".") if about else ""
        closed = f"one of {', '.join(values)}" if values else ""
        extra = "; ".join(each for each in (detail, closed) if each)
        parts.append(f"{said} ({extra})" if extra else said)
    return f"To {offer.label} I still need: {', '.join(parts)}. What should it be?"


def _merged(intents: list[Intent]) -> list[Intent]:
    """Statements around a single intent belong to it."""
    return [Intent(intents[0].whole)] if len(intents) == 1 else intents


def _labels(offers: Sequence[Offer]) -> list[str]:
    """What each offer is compared by: itself in words, then the examples that its schema gives."""
    return [clip(f"{offer.label}: {' '.join(sentences(offer.description)[:2])}", 300) for offer in offers]


def _with_examples(meaning: Vectors, offers: Sequence[Offer], samples: Vectors) -> Vectors:
    """The better of an offer's own likeness and that of its closest example."""
    best = meaning.copy()
    at = 0
    for column, offer in enumerate(offers):
        count = len(offer.examples[:_MAX_EXAMPLES])
        if count:
            best[:, column] = np.maximum(best[:, column], samples[:, at : at + count].max(axis=1))
        at += count
    return best


def _enum_labels(offer: Offer) -> list[str]:
    labels = []
    for part in offer.schema.get("properties", {}).values():
        labels += [str(value).replace("_", " ") for value in part.get("enum", ())]
    return labels


def _text(offer: Offer) -> str:
    return f"{offer.label} {offer.description} {' '.join(offer.examples)} {parameter_words(offer.schema)}"
