"""Scores every unit of the evidence against a question: meaning, words, neighbourhood, shape.

The weights were fitted on public question sets (evals/README.md, "embedded engine"), not on any demo.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.embedded.compose.evidence import Passage
from inference.embedded.compose.questions import answer_types, fits
from inference.embedded.compose.units import Unit
from inference.embedded.text import Rarity, bigram_share, key_stems, stems
from inference.embedded.vectors import Vectors

FEATURES = ("cosine", "window", "overlap", "nearby", "bigram", "shape", "passage", "heading", "rank")
WEIGHTS = np.array([1.0, 0.3, 0.5, 0.2, 0.2, 0.15, 0.3, 0.1, 0.0])
_CONFIDENCE = [FEATURES.index(name) for name in ("cosine", "window", "overlap", "nearby", "bigram", "shape")]


@dataclass(frozen=True)
class Lexical:
    """What words alone say about one question and all units; `table` has a row for each unit."""

    question: str
    table: NDArray[np.float64]

    def shortlist(self, count: int) -> list[int]:
        """The units worth embedding, in reading order."""
        rough = self.table @ WEIGHTS
        return sorted(np.argsort(-rough, kind="stable")[:count].tolist())


def lexical_scores(question: str, units: Sequence[Unit], passages: Sequence[Passage]) -> Lexical:
    """Everything that needs no embedding."""
    wanted = key_stems(question)
    held = [stems(unit.text) for unit in units]
    context = [stems(f"{passages[unit.passage].title} {unit.heading} {unit.lead}") for unit in units]
    rarity = Rarity([*map(set, held), *({*stems(p.title), *stems(p.heading)} for p in passages)])
    nearby = _neighbours(units, held)
    types = answer_types(question)
    best = max((passage.score for passage in passages), default=0.0) or 1.0
    rows = [
        [
            0.0,
            0.0,
            rarity.overlap(wanted, held[i]),
            rarity.overlap(wanted, nearby[i] | set(context[i])),
            bigram_share(wanted, held[i]),
            fits(types, question, unit.text),
            passages[unit.passage].score / best,
            rarity.overlap(wanted, context[i]),
            1 / (1 + unit.passage),
        ]
        for i, unit in enumerate(units)
    ]
    return Lexical(question, np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES)))


def combine(lexical: Lexical, question: Vectors, chosen: Sequence[int], units: Vectors, leads: Vectors) -> "Scores":
    """Adds meaning for the shortlisted units; `leads` holds the vector of what stands before each of them."""
    table = lexical.table.copy()
    windows = units + leads
    windows /= np.maximum(np.linalg.norm(windows, axis=1, keepdims=True), 1e-6)
    table[list(chosen), 0] = units @ question
    table[list(chosen), 1] = windows @ question
    total = table @ WEIGHTS
    out = np.ones(len(total), dtype=bool)
    out[list(chosen)] = False
    total[out] = -1.0
    confidence = table[:, _CONFIDENCE] @ WEIGHTS[_CONFIDENCE]
    return Scores(total, np.where(out, -1.0, confidence))


@dataclass(frozen=True)
class Scores:
    """For each unit: its score among the others, and how sure it is to answer at all."""

    total: NDArray[np.float64]
    confidence: NDArray[np.float64]


def _neighbours(units: Sequence[Unit], held: Sequence[Sequence[str]]) -> list[set[str]]:
    by_passage: dict[int, list[int]] = defaultdict(list)
    for i, unit in enumerate(units):
        by_passage[unit.passage].append(i)
    near: list[set[str]] = [set() for _ in units]
    for members in by_passage.values():
        for at, i in enumerate(members):
            for j in members[max(0, at - 1) : at + 2]:
                near[i].update(held[j])
    return near
