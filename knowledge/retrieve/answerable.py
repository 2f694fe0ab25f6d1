"""How well does a passage's best sentence fit a question, and is that well enough to be an answer?"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from knowledge.embed.passages import Floats, PassageVectors, cosines
from knowledge.index.words import content_stems, plain
from knowledge.retrieve.candidates import Candidate

_WORDS_ALONE = 0.6  # what shared words count where there is no vector
_IN_RERANK = 0.25  # weight of a sentence's shared words beside its cosine, chosen on the even questions of two sets
_IN_FIT, _AROUND = 0.5, 0.3
_WIDTH = 0.1


@dataclass(frozen=True)
class Question:
    """A query with everything that passages are compared by; its words weigh by how rare they are here."""

    text: str
    vector: Floats | None
    weights: Mapping[str, float] = field(default_factory=dict)
    frequencies: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, vector: Floats | None, frequencies: Mapping[str, int], rows: int) -> "Question":
        """A question asked of `rows` passages in which its stems have these frequencies."""
        stems = dict.fromkeys(content_stems(text))
        return cls(text, vector, {stem: idf(frequencies.get(stem, 0), rows) for stem in stems}, frequencies)

    def held(self, text: str) -> set[str]:
        """Those of its stems that a text holds; most sentences hold none, which a look at their beginnings tells."""
        if self._beginnings is None or not self._beginnings.search(plain(text)):
            return set()
        return self.weights.keys() & set(content_stems(text))

    @cached_property
    def _beginnings(self) -> re.Pattern[str] | None:
        # A stem without its last letter begins every word of that stem: Porter's rules change endings only.
        starts = {re.escape(stem[: max(2, len(stem) - 1)]) for stem in self.weights}
        return re.compile(rf"\b(?:{'|'.join(sorted(starts))})") if starts else None

    def overlap(self, stems: set[str]) -> float:
        """The share of the question's weight that these stems hold."""
        total = sum(self.weights.values())
        return sum(weight for stem, weight in self.weights.items() if stem in stems) / total if total else 0.0


class Passage:
    """A candidate with the vectors of its sentences; the sentences are cut when first needed and once."""

    def __init__(self, candidate: Candidate, vectors: PassageVectors | None) -> None:
        self.candidate = candidate
        self.vectors = vectors

    @property
    def document_id(self) -> str:
        """The document that it is a part of."""
        return self.candidate.document.document_id

    @cached_property
    def sentences(self) -> list[str]:
        """Its sentences, each with a vector where there are vectors."""
        return self.candidate.passage.sentences

    def best_sentence(self, question: Question, words: float) -> float:
        """The best sum of a sentence's cosine and `words` times its overlap; 0 without a sentence."""
        overlaps = [question.overlap(question.held(sentence)) for sentence in self.sentences]
        if not overlaps:
            return 0.0
        return max(
            near + words * shared for near, shared in zip(self._meaning(question, overlaps), overlaps, strict=True)
        )

    def rank_fit(self, question: Question) -> float:
        """What the candidates of one question are ordered by."""
        return self.best_sentence(question, _IN_RERANK)

    def answer_fit(self, question: Question) -> float:
        """What decides whether there is an answer: AUROC .993 on XQuAD with the article taken away."""
        return self.best_sentence(question, _IN_FIT) + _AROUND * question.overlap(
            question.held(self.candidate.passage.whole)
        )

    def _meaning(self, question: Question, overlaps: Sequence[float]) -> Sequence[float]:
        if question.vector is None or self.vectors is None or len(self.vectors.sentences) != len(overlaps):
            return [_WORDS_ALONE * shared for shared in overlaps]
        return cosines(question.vector, self.vectors.sentences).tolist()


def answerable_at(fit: float, threshold: float) -> float:
    """A fit as 0..1, with 0.5 at the threshold."""
    return round(1 / (1 + math.exp(-(fit - threshold) / _WIDTH)), 4)


def idf(frequency: int, rows: int) -> float:
    """Inverse document frequency as BM25 has it."""
    return math.log(1 + (rows - frequency + 0.5) / (frequency + 0.5))
