"""Answers from passages: the best sentences, lists kept whole, each with its citation, or an honest refusal."""

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.embedded.compose.evidence import Evidence, Passage
from inference.embedded.compose.questions import AnswerType, answer_types
from inference.embedded.compose.render import Point, render
from inference.embedded.compose.scoring import Lexical, Scores, combine, lexical_scores
from inference.embedded.compose.units import Unit, units_of
from inference.embedded.intents import Intent, clean, split_intents
from inference.embedded.settings import EmbeddedSettings
from inference.embedded.text import clip
from inference.embedded.vectors import VectorCache, Vectors


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
        texts = [clip(_bare(reading.units[i].text), 400) for i in reading.shortlist]
        asked = [intent.whole for intent in reading.intents]
        vectors = await self._vectors.embed([*asked, *texts])
        return await asyncio.to_thread(self._compose, question, reading, vectors, evidence.answerable)

    def _read(self, question: str, evidence: Evidence) -> _Reading:
        units = units_of(evidence.passages)
        intents = split_intents(clean(question), limit=4)
        lexical = [lexical_scores(intent.whole, units, evidence.passages) for intent in intents]
        each = max(4, self._settings.max_embedded_units // len(intents))
        shortlist = sorted({i for scores in lexical for i in scores.shortlist(each)})
        return _Reading(evidence.passages, units, intents, lexical, shortlist)

    def _compose(self, question: str, reading: _Reading, vectors: Vectors, answerable: float | None) -> Answer:
        count = len(reading.intents)
        asked, held = vectors[:count], vectors[count:]
        before = _before(reading, held)
        points: list[Point] = []
        best = -1.0
        for lexical, vector in zip(reading.lexical, asked, strict=True):
            scores = combine(lexical, vector, reading.shortlist, held, before)
            best = max(best, float(scores.confidence.max()))
            limit = max(2, self._settings.max_points // count)
            chosen = _select(scores, limit)
            points.extend(self._points(lexical.question, reading, scores, chosen))
        confidence = _certainty(best, answerable)
        if confidence < self._settings.decline_below:
            return Answer(refusal(question), confidence, declined=True)
        return Answer(render(points, reading.passages), confidence)

    def _points(self, question: str, reading: _Reading, scores: Scores, chosen: Sequence[int]) -> list[Point]:
        types = answer_types(question)
        points: list[Point] = []
        for rank, index in enumerate(chosen):
            unit = reading.units[index]
            members = [i for i, each in enumerate(reading.units) if each.block == unit.block]
            if unit.kind == "item" and self._keep_whole(types, reading, members, first=rank == 0):
                points.append(
                    Point(unit.passage, tuple(members), unit.lead, tuple(reading.units[i].text for i in members))
                )
            else:
                lead = unit.lead if unit.kind == "item" else ""
                points.append(Point(unit.passage, (index,), lead, (unit.text,)))
        return points

    def _keep_whole(
        self, types: frozenset[AnswerType], reading: _Reading, members: Sequence[int], *, first: bool
    ) -> bool:
        size = sum(len(reading.units[i].text) for i in members)
        if "steps" in types and first:
            return size <= self._settings.max_list_chars
        return size <= self._settings.max_list_chars // 3


def refusal(question: str) -> str:
    """The reply that the contract asks for when the evidence holds no answer."""
    about = clip(clean(question).rstrip("?.! "), 160)
    return f"NO_ANSWER The documents and data found do not say: {about}." if about else "NO_ANSWER Nothing was asked."


def _select(scores: Scores, limit: int) -> list[int]:
    order = np.argsort(-scores.total, kind="stable")
    best = scores.total[order[0]]
    return [int(i) for i in order[:limit] if scores.total[i] >= 0.55 * best]


def _before(reading: _Reading, held: Vectors) -> Vectors:
    """For each shortlisted unit the vector of the unit before it in its passage, where that is known."""
    row_of = {index: row for row, index in enumerate(reading.shortlist)}
    before = np.zeros_like(held)
    for row, index in enumerate(reading.shortlist):
        previous = row_of.get(index - 1)
        if previous is not None and reading.units[index - 1].passage == reading.units[index].passage:
            before[row] = held[previous]
    return before


def _certainty(confidence: float, answerable: float | None) -> float:
    own = 1 / (1 + math.exp(-6 * (confidence - 1.0)))
    return own if answerable is None else (own + answerable) / 2


def _bare(text: str) -> str:
    """Without markup that means nothing to an embedder."""
    text = re.sub(r"\]\([^)\s]*\)", "]", text)
    return re.sub(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+|[*_`\[\]#|]+", " ", text).strip() or text
