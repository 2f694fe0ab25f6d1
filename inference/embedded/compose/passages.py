"""Answers from passages: the best sentences, lists kept whole, each with its citation, or an honest refusal."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.embedded.beyond import calculates
from inference.embedded.compose.certainty import Signs, certainty, signs_of
from inference.embedded.compose.contradictions import find_contradiction, state_contradiction
from inference.embedded.compose.evidence import Evidence, Passage
from inference.embedded.compose.render import Point, render
from inference.embedded.compose.scoring import Lexical, Scores, combine, lexical_scores
from inference.embedded.compose.selection import select
from inference.embedded.compose.units import Unit, meaning_of, units_of
from inference.embedded.intents import Intent, clean, split_intents
from inference.embedded.settings import EmbeddedSettings
from inference.embedded.text import clip
from inference.embedded.vectors import VectorCache, Vectors

CANNOT_CALCULATE = (
    "The embedded engine quotes figures and does not calculate with them. Arithmetic over text needs a language model: "
    "an administrator can connect a vLLM server (inference.base_url)."
)
_NEAR = 0.3
"""Confidence above which what came closest is worth a look."""
_CLOSEST_WORDS, _CLOSEST_CHARS, _MOST_CLOSEST = 60, 200, 3


@dataclass(frozen=True)
class Answer:
    """What the evidence says; `confidence` is 0..1, and under the threshold the answer is a refusal.

    `signs` are what the confidence in each part of the question was made from.
    """

    text: str
    confidence: float
    declined: bool = False
    signs: tuple[Signs, ...] = ()


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
        return await asyncio.to_thread(self._compose, question, reading, vectors)

    def _read(self, question: str, evidence: Evidence) -> _Reading:
        units = units_of(evidence.passages)
        intents = split_intents(clean(question), limit=4)
        lexical = [lexical_scores(intent.whole, units, evidence.passages) for intent in intents]
        each = max(6, self._settings.max_embedded_units // len(intents))
        shortlist = sorted({i for scores in lexical for i in scores.shortlist(each)})
        return _Reading(evidence.passages, units, intents, lexical, shortlist)

    def _compose(self, question: str, reading: _Reading, vectors: Vectors) -> Answer:
        count = len(reading.intents)
        asked, held = vectors[:count], vectors[count:]
        before = _before(reading, held)
        parts: list[str] = []
        said: set[str] = set()
        signs: list[Signs] = []
        closest: list[Point] = []
        for intent, lexical, vector in zip(reading.intents, reading.lexical, asked, strict=True):
            scores = combine(lexical, vector, reading.shortlist, held, before)
            signs.append(signs_of(lexical, scores, reading.units, reading.passages, reading.shortlist))
            closest += select(lexical.question, reading.units, scores, max_words=_CLOSEST_WORDS, max_list_words=0)
            differing = self._differing(reading, scores, held)
            words, room = self._settings.max_answer_words // count, self._settings.max_list_words // count
            points = select(lexical.question, reading.units, scores, max_words=words, max_list_words=room)
            answer = [text for text in (differing, render(points, reading.passages, said)) if text]
            if answer:
                parts.append("\n\n".join([f"**{clip(intent.text, 160)}**", *answer] if count > 1 else answer))
        surest = max(map(certainty, signs))
        if calculates(question) or surest < self._settings.decline_below:
            near = surest >= _NEAR or calculates(question)
            text = refusal(question, closest[:_MOST_CLOSEST] if near else (), reading.passages)
            return Answer(text, surest, declined=True, signs=tuple(signs))
        return Answer("\n\n".join(dict.fromkeys(parts)), surest, signs=tuple(signs))

    def _differing(self, reading: _Reading, scores: Scores, held: Vectors) -> str:
        """What two documents say differently, with dates; it is then no point of its own."""
        pair = find_contradiction(reading.units, reading.passages, scores, reading.shortlist, held)
        if pair is None:
            return ""
        scores.total[list(pair)] = -9.0
        return state_contradiction(pair, reading.units, reading.passages)


def refusal(question: str, closest: Sequence[Point] = (), passages: Sequence[Passage] = ()) -> str:
    """The reply that the contract asks for when the evidence holds no answer, with what came closest."""
    about = clip(clean(question).rstrip("?.! "), 160)
    if not about:
        return "NO_ANSWER Nothing was asked."
    said = f"NO_ANSWER The documents and data found do not say: {about}."
    if calculates(question):
        said = f"NO_ANSWER {CANNOT_CALCULATE}"
    near = [f"- {clip(' '.join(each.texts), _CLOSEST_CHARS)} [#{passages[each.passage].ref}]" for each in closest]
    return "\n".join([said, "", "Closest, but not certain to answer it:", *near]) if near else said


def _before(reading: _Reading, held: Vectors) -> Vectors:
    """For each shortlisted unit the vector of the unit before it in its passage, where that is known."""
    row_of = {index: row for row, index in enumerate(reading.shortlist)}
    before = np.zeros_like(held)
    for row, index in enumerate(reading.shortlist):
        previous = row_of.get(index - 1)
        if previous is not None and reading.units[index - 1].passage == reading.units[index].passage:
            before[row] = held[previous]
    return before
