"""Answers from passages: the best sentences, lists kept whole, each with its citation, or an honest refusal."""

import asyncio
import math
from dataclasses import dataclass

import numpy as np

from inference.embedded.compose.contradictions import find_contradiction, state_contradiction
from inference.embedded.compose.evidence import Evidence, Passage
from inference.embedded.compose.render import Point, render
from inference.embedded.compose.scoring import Lexical, combine, lexical_scores
from inference.embedded.compose.selection import select
from inference.embedded.compose.units import Unit, meaning_of, units_of
from inference.embedded.intents import Intent, clean, split_intents
from inference.embedded.settings import EmbeddedSettings
from inference.embedded.text import clip
from inference.embedded.vectors import VectorCache, Vectors

_LINE = 1.9
_SEARCH_WEIGHT, _SEARCH_MARGIN = 0.15, 0.18


@dataclass(frozen=True)
class Answer:
    """What the evidence says; `confidence` is 0..1, and under the threshold the answer is a refusal."""

    text: str
    confidence: float
    declined: bool = False


@dataclass(frozen=True)
class _Reading:
    """Evidence cut into units and weighed by words, for each intent of the question."""

    passages: tuple[Passage, ...]
    units: list[Unit]
    intents: list[Intent]
    lexical: list[Lexical]
    shortlist: list[int]


class PassageComposer:
    """Composes answers from evidence."""

    def __init__(self, vectors: VectorCache, settings: EmbeddedSettings) -> None:
        self._vectors = vectors
        self._settings = settings

    async def answer(self, question: str, evidence: Evidence) -> Answer:
        """The answer to the question, or a refusal that says what is missing."""
        if not evidence.passages:
            return Answer(refusal(question), 0.0, declined=True)
        reading = await asyncio.to_thread(self._read, question, evidence)
        if not reading.units:
            return Answer(refusal(question), 0.0, declined=True)
        texts = [meaning_of(reading.units[i]) for i in reading.shortlist]
        vectors = await self._vectors.embed([*(intent.whole for intent in reading.intents), *texts])
        return await asyncio.to_thread(self._compose, question, reading, vectors, evidence.answerable)

    def _read(self, question: str, evidence: Evidence) -> _Reading:
        units = units_of(evidence.passages)
        intents = split_intents(clean(question), limit=4)
        lexical = [lexical_scores(intent.whole, units, evidence.passages) for intent in intents]
        each = max(6, self._settings.max_embedded_units // len(intents))
        shortlist = sorted({i for scores in lexical for i in scores.shortlist(each)})
        return _Reading(evidence.passages, units, intents, lexical, shortlist)

    def _compose(self, question: str, reading: _Reading, vectors: Vectors, answerable: float | None) -> Answer:
        count = len(reading.intents)
        asked, held = vectors[:count], vectors[count:]
        before = _before(reading, held)
        points: list[Point] = []
        surest = 0.0
        differing: list[str] = []
        for lexical, vector in zip(reading.lexical, asked, strict=True):
            scores = combine(lexical, vector, reading.shortlist, held, before)
            surest = max(surest, certainty(float(scores.fit.max()), lexical.covered, answerable))
            limit = max(3, self._settings.max_points // count)
            pair = find_contradiction(reading.units, reading.passages, scores, reading.shortlist, held)
            if pair:
                differing.append(state_contradiction(pair, reading.units, reading.passages))
                scores.total[list(pair)] = -9.0
            room = self._settings.max_list_chars
            points += select(lexical.question, reading.units, scores, limit=limit, max_list_chars=room)
        if surest < self._settings.decline_below:
            return Answer(refusal(question), surest, declined=True)
        said = [*dict.fromkeys(differing), render(points, reading.passages)]
        return Answer("\n\n".join(text for text in said if text), surest)


def certainty(fit: float, covered: float, answerable: float | None) -> float:
    """How likely the evidence holds an answer, 0..1, 0.5 at the line.

    `fit` is the best unit's, `covered` the share of the question's words that occur at all, `answerable` what the
    search says of itself, where it says anything.
    """
    own = fit + covered - _LINE
    if answerable is not None:
        said = min(max(answerable, 0.001), 0.999)
        own += _SEARCH_WEIGHT * math.log(said / (1 - said)) - _SEARCH_MARGIN
    return 1 / (1 + math.exp(-4 * own))


def refusal(question: str) -> str:
    """The reply that the contract asks for when the evidence holds no answer."""
    about = clip(clean(question).rstrip("?.! "), 160)
    return f"NO_ANSWER The documents and data found do not say: {about}." if about else "NO_ANSWER Nothing was asked."


def _before(reading: _Reading, held: Vectors) -> Vectors:
    """For each shortlisted unit the vector of the unit before it in its passage, where that is known."""
    row_of = {index: row for row, index in enumerate(reading.shortlist)}
    before = np.zeros_like(held)
    for row, index in enumerate(reading.shortlist):
        previous = row_of.get(index - 1)
        if previous is not None and reading.units[index - 1].passage == reading.units[index].passage:
            before[row] = held[previous]
    return before
