"""Chooses tools for a task and fills their arguments; asks back where a needed value is missing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from inference.embedded.arguments.filler import Filled, Words, fill
from inference.embedded.entities import Entities
from inference.embedded.intents import Intent, clean, split_intents, wants_action
from inference.embedded.ranking import Ranking, fits, is_search, looks_up, text_of
from inference.embedded.schemas import Offer
from inference.embedded.settings import EmbeddedSettings
from inference.embedded.synonyms import rephrased
from inference.embedded.text import Rarity, clip, key_stems, sentences
from inference.embedded.vectors import VectorCache, Vectors

SEARCH_LIMIT = 14
_MAX_EXAMPLES = 6
_NAMELESS = 0.6
"""Weight of the likeness without names and dates beside that of the words as they stand."""


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


class ToolChooser:
    """Matches what is asked with what is offered."""

    def __init__(self, vectors: VectorCache, settings: EmbeddedSettings) -> None:
        self._vectors = vectors
        self._settings = settings

    async def choose(
        self, wish: str, offers: Sequence[Offer], today: date, *, must: bool = False, found: str = ""
    ) -> Choice:
        """Calls for every intent of the wish that an offer serves or a search may; `must`: for all of them.

        `found` is what earlier steps found: the text to send where the wish speaks of "it" or "the result".
        """
        intents = _merged(split_intents(wish, limit=self._settings.max_parallel_calls))
        entities, labels = await asyncio.to_thread(lambda: (Entities(offers), _labels(offers)))
        asked = [clip(clean(intent.text), 600) for intent in intents]
        plain = [rephrased(text) for text in asked]
        bare = [entities.masked(text, today) for text in plain]
        left = [entities.removed(text) for text in plain]
        choices = [value for offer in offers for value in _enum_labels(offer)][:200] if len(offers) <= 40 else []
        samples = [example for offer in offers for example in offer.examples[:_MAX_EXAMPLES]]
        masked = [entities.masked(sample, today) for sample in samples]
        parts = [asked, bare, labels, samples, masked, choices]
        whole, nameless, named, shown, shown_bare, liked = _cut(
            await self._vectors.embed([text for part in parts for text in part]), parts
        )
        meaning = _with_examples(whole @ named.T, offers, whole @ shown.T)
        general = _with_examples(nameless @ named.T, offers, nameless @ shown_bare.T)
        meaning = (1 - _NAMELESS) * meaning + _NAMELESS * general
        matching = _Matching(intents, left, offers, meaning, _Likes(choices, whole @ liked.T), today, must, found)
        return await asyncio.to_thread(self._decide, matching)

    def _decide(self, matching: "_Matching") -> Choice:
        rarity = Rarity([set(key_stems(text_of(offer))) for offer in matching.offers])
        known = frozenset(value.lower() for offer in matching.offers for value in _enum_labels(offer))
        chosen: dict[int, tuple[Offer, Call]] = {}
        asks: list[str] = []
        unserved: dict[int, Words] = {}
        for at, intent in enumerate(matching.intents):
            words = Words(intent.whole, matching.today, matching.likes.of(at), matching.found, known)
            ranking = Ranking(intent.text, matching.bare[at], words, matching.offers, matching.meaning[at])
            best = ranking.best(rarity)
            if best is None or (not matching.must and not fits(best, intent.text)):
                unserved[at] = words
            elif best.filled.missing:
                asks.append(ask_for(best.offer, best.filled.missing))
            else:
                chosen[at] = best.offer, _call(best.offer, best.filled)
        if chosen or not asks:
            chosen |= _searched(unserved, {offer.tool for offer, _ in chosen.values()}, matching.offers)
        calls: list[Call] = []
        for at in sorted(chosen):
            if chosen[at][1] not in calls:
                calls.append(chosen[at][1])
        return Choice(tuple(calls[: self._settings.max_parallel_calls]), "" if calls else " ".join(dict.fromkeys(asks)))


@dataclass(frozen=True)
class _Matching:
    """What one choice is made from; `meaning` has a row for each intent and a column for each offer."""

    intents: Sequence[Intent]
    bare: Sequence[str]
    offers: Sequence[Offer]
    meaning: Any
    likes: "_Likes"
    today: date
    must: bool
    found: str


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


def _searched(
    unserved: Mapping[int, Words], chosen: Set[str], offers: Sequence[Offer]
) -> dict[int, tuple[Offer, Call]]:
    """Parts that no tool fits are searched for, where the others are or there are none: a search takes any question."""
    search = next((offer for offer in looks_up(offers) if not chosen or offer.tool in chosen), None)
    if search is None:
        return {}
    fillings = {at: fill(search.schema, words) for at, words in unserved.items()}
    return {at: (search, _call(search, filled)) for at, filled in fillings.items() if not filled.missing}


def _call(offer: Offer, filled: Filled) -> Call:
    return Call(offer.tool, offer.arguments(_generous(offer, filled.arguments)))


def _generous(offer: Offer, arguments: dict[str, Any]) -> dict[str, Any]:
    """Asks a search for as many passages as this engine reads well, where the default is fewer."""
    limit = offer.schema.get("properties", {}).get("limit", {})
    fewer = isinstance(limit.get("default"), int) and limit["default"] < SEARCH_LIMIT
    if is_search(offer) and fewer and "limit" not in arguments and limit.get("maximum", 0) >= SEARCH_LIMIT:
        return {**arguments, "limit": SEARCH_LIMIT}
    return arguments


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
    if len(intents) != 1 or wants_action(intents[0].text):
        return intents
    return [Intent(intents[0].whole)]


def _cut(vectors: Vectors, parts: Sequence[Sequence[str]]) -> list[Vectors]:
    """The vectors of each part."""
    ends = np.cumsum([len(part) for part in parts])
    return np.split(vectors, ends[:-1])


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
