"""Does the corpus hold an answer? How well the best sentence fits the question, against what is usual here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from knowledge.embed.passages import Floats, PassageVectors, cosines
from knowledge.embed.sentences import sentence_spans
from knowledge.index.words import content_stems
from knowledge.retrieve.candidates import Candidate


@dataclass(frozen=True)
class Calibration:
    """Where a corpus draws the line between "holds an answer" and "does not", and how sharp it is."""

    threshold: float = 0.95
    width: float = 0.12

    def answerable(self, fit: float) -> float:
        """0..1, 0.5 at the threshold."""
        return round(1 / (1 + math.exp(-(fit - self.threshold) / self.width)), 4)


@dataclass(frozen=True)
class Question:
    """A query with everything that passages are compared by."""

    text: str
    stems: tuple[str, ...]
    weights: Mapping[str, float]
    vector: Floats | None

    @classmethod
    def of(cls, text: str, vector: Floats | None, frequencies: Mapping[str, int], rows: int) -> "Question":
        """A question whose words weigh by how rare they are among `rows` passages."""
        stems = tuple(dict.fromkeys(content_stems(text)))
        weights = {stem: idf(frequencies.get(stem, 0), rows) for stem in stems}
        return cls(text=text, stems=stems, weights=weights, vector=vector)

    def overlap(self, stems: set[str]) -> float:
        """The share of the question's weight that these stems hold."""
        total = sum(self.weights.values())
        return sum(weight for stem, weight in self.weights.items() if stem in stems) / total if total else 0.0


def idf(frequency: int, rows: int) -> float:
    """Inverse document frequency as BM25 has it."""
    return math.log(1 + (rows - frequency + 0.5) / (frequency + 0.5))


def fit_of(question: Question, candidate: Candidate, vectors: PassageVectors | None) -> float:
    """How well the passage's best sentence fits the question: meaning, its words, and those of its surroundings."""
    spans = sentence_spans(candidate.chunk.text)
    sentences = [set(content_stems(candidate.chunk.text[start:end])) for start, end in spans]
    around = set(content_stems(f"{candidate.passage.title} {candidate.passage.heading}"))
    whole = around.union(*sentences) if sentences else around
    if not sentences:
        return 0.0
    if question.vector is None or vectors is None or len(vectors.sentences) != len(sentences):
        meaning: Sequence[float] = [0.6 * question.overlap(stems) for stems in sentences]
    else:
        meaning = cosines(question.vector, vectors.sentences).tolist()
    best = max(value + 0.5 * question.overlap(stems) for value, stems in zip(meaning, sentences, strict=True))
    return best + 0.3 * question.overlap(whole)
