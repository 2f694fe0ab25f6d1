"""Scores every unit of the evidence against a question: meaning, words, surroundings, shape.

The weights were fitted by listwise softmax regression on public question sets (evals/README.md, "Embedded engine"):
what stands around a sentence tells as much as the sentence, and a heading is part of what its sentences mean.
The weight of the passage's rank was raised by hand when the search began to look at whole documents.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.embedded.compose.evidence import Passage
from inference.embedded.compose.questions import answer_types, fits
from inference.embedded.compose.units import Unit
from inference.embedded.text import Rarity, key_stems, stems
from inference.embedded.vectors import Vectors

Table = NDArray[np.float64]

FEATURES = ("cosine", "window", "overlap", "nearby", "shape", "passage", "asks")
WEIGHTS = np.array([1.0, 0.75, 0.9, 1.0, 0.5, 1.0, -1.0])
CERTAIN = np.array([1.0, 0.75, 0.9, 1.0, 0.5, 0.0, 0.0])


@dataclass(frozen=True)
class Lexical:
    """What words alone say about one question and all units; `table` has a row for each unit."""

    question: str
    table: Table
    covered: float

    def shortlist(self, count: int) -> list[int]:
        """The units worth embedding, in reading order."""
        rough = self.table @ WEIGHTS
        return sorted(np.argsort(-rough, kind="stable")[:count].tolist())


@dataclass(frozen=True)
class Scores:
    """For each unit its score among the others, how well it fits whatever the others are, and its meaning alone."""

    total: Table
    fit: Table
    meaning: Table


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
            fits(types, question, unit.text),
            passages[unit.passage].score / best,
            float(unit.text.rstrip(" *_").endswith("?")),
        ]
        for i, unit in enumerate(units)
    ]
    known: set[str] = set().union(*nearby, *context)
    covered = sum(stem in known for stem in set(wanted)) / max(1, len(set(wanted)))
    return Lexical(question, np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES)), covered)


def combine(lexical: Lexical, question: Vectors, chosen: Sequence[int], units: Vectors, before: Vectors) -> Scores:
    """Adds meaning for the shortlisted units; `before` holds the vector of what stands before each of them."""
    table = lexical.table.copy()
    windows = units + before
    windows /= np.maximum(np.linalg.norm(windows, axis=1, keepdims=True), 1e-6)
    table[list(chosen), 0] = units @ question
    table[list(chosen), 1] = windows @ question
    left_out = np.ones(len(table), dtype=bool)
    left_out[list(chosen)] = False
    total, fit = (np.where(left_out, -9.0, table @ weights) for weights in (WEIGHTS, CERTAIN))
    return Scores(total, fit, table[:, 0])


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
