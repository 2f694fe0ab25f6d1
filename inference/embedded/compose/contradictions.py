"""Two documents that say the same with other numbers: both are shown, each with its date, the newer first."""

from collections.abc import Sequence

from inference.embedded.compose.evidence import Passage
from inference.embedded.compose.questions import numbers_in
from inference.embedded.compose.scoring import Scores
from inference.embedded.compose.units import ITEM, Unit
from inference.embedded.text import key_stems
from inference.embedded.vectors import Vectors

_ALIKE = 0.75
_NEARLY = 0.75
_SHARED = 0.5
"""Share of the shorter statement's words that both must have: other numbers about the same thing, not another thing."""


def find_contradiction(
    units: Sequence[Unit], passages: Sequence[Passage], scores: Scores, shortlist: Sequence[int], vectors: Vectors
) -> tuple[int, int] | None:
    """The best unit and one of another document that differs in its numbers, the newer first; None without dates."""
    row_of = {index: row for row, index in enumerate(shortlist)}
    best = int(scores.total.argmax())
    first = passages[units[best].passage]
    said = numbers_in(units[best].text)
    if best not in row_of or not said or not first.modified:
        return None
    for index in sorted(shortlist, key=lambda each: -scores.total[each]):
        other = passages[units[index].passage]
        same = other.document == first.document or other.modified in ("", first.modified)
        if same or scores.total[index] < _NEARLY * scores.total[best]:
            continue
        alike = float(vectors[row_of[best]] @ vectors[row_of[index]])
        numbers = numbers_in(units[index].text)
        differ = numbers and not numbers <= said and not said <= numbers
        if alike >= _ALIKE and differ and _share(units[best].text, units[index].text) >= _SHARED:
            return (best, index) if first.modified > other.modified else (index, best)
    return None


def state_contradiction(pair: tuple[int, int], units: Sequence[Unit], passages: Sequence[Passage]) -> str:
    """Both statements with the dates of their documents."""
    lines = []
    for label, index in zip(("Newer", "Older"), pair, strict=True):
        passage = passages[units[index].passage]
        text = ITEM.sub("", units[index].text).strip()
        lines.append(f"{label} ({passage.modified}): {text} [#{passage.ref}]")
    return "The documents differ.\n\n" + "\n\n".join(lines)


def _share(one: str, other: str) -> float:
    first, second = set(key_stems(one)), set(key_stems(other))
    return len(first & second) / max(1, min(len(first), len(second)))
