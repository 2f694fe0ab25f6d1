"""How well does a passage's best sentence fit a question, and is that well enough to be an answer?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from knowledge.embed.passages import Floats, PassageVectors, cosines
from knowledge.index.words import content_stems
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

    def overlap(self, stems: set[str]) -> float:
        """The share of the question's weight that these stems hold."""
        total = sum(self.weights.values())
        return sum(weight for stem, weight in self.weights.items() if stem in stems) / total if total else 0.0


class Passage:
    """A candidate as sentences: their stems and their vectors, made when first needed and once."""

    def __init__(self, candidate: Candidate, vectors: PassageVectors | None) -> None:
        self.candidate = candidate
        self.vectors = vectors

    @cached_property
    def stems(self) -> list[set[str]]:
        """Stems of each sentence."""
        return [set(content_stems(sentence)) for sentence in self.candidate.passage.sentences]

    @cached_property
    def around(self) -> set[str]:
        """Stems of the whole passage with its title and headings."""
        passage = self.candidate.passage
        return set(content_stems(f"{passage.title} {passage.heading}")).union(*self.stems)

    def best_sentence(self, question: Question, words: float) -> float:
        """The best sum of a sentence's cosine and `words` times its overlap; 0 without a sentence."""
        overlaps = [question.overlap(stems) for stems in self.stems]
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
        return self.best_sentence(question, _IN_FIT) + _AROUND * question.overlap(self.around)

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
