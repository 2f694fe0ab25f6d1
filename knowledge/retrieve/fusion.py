"""Putting two rankings on one scale, and keeping one document from crowding out the rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def scaled(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores of one query stretched to 0..1; all equal: all 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    width = high - low
    return {name: (score - low) / width if width > 1e-9 else 1.0 for name, score in scores.items()}


def fused(dense: Mapping[str, float], lexical: Mapping[str, float], dense_weight: float) -> dict[str, float]:
    """A convex mix of both, each stretched to 0..1 first; where one side is empty the other stands alone.

    A candidate that one side does not know counts there as its last.
    """
    if not dense or not lexical:
        return scaled(dense or lexical)
    left, right = scaled(dense), scaled(lexical)
    names = left.keys() | right.keys()
    return {name: dense_weight * left.get(name, 0) + (1 - dense_weight) * right.get(name, 0) for name in names}


def best_of(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Several queries about one thing: each candidate counts as in the query that it fits best."""
    best: dict[str, float] = {}
    for run in runs:
        for name, score in run.items():
            best[name] = max(score, best.get(name, score))
    return best


def spread(items: Sequence[T], key: Callable[[T], str], limit: int) -> list[T]:
    """The same items; those beyond `limit` of one key go to the end, in order."""
    counts: dict[str, int] = {}
    first: list[T] = []
    later: list[T] = []
    for item in items:
        name = key(item)
        counts[name] = counts.get(name, 0) + 1
        (first if counts[name] <= limit else later).append(item)
    return first + later


def varied(items: Sequence[T], key: Callable[[T], str], page: int, kinds: int) -> list[T]:
    """The same items; where the first `page` are of fewer than `kinds` keys, the last repeats among them make room."""
    first, later = list(items[:page]), list(items[page:])
    while len({key(item) for item in first}) < kinds:
        known = [key(item) for item in first]
        fresh = next((at for at, item in enumerate(later) if key(item) not in known), None)
        spare = next((at for at in range(len(known) - 1, 0, -1) if known[at] in known[:at]), None)
        if fresh is None or spare is None:
            break
        first.append(later.pop(fresh))
        later.insert(0, first.pop(spare))
    return first + later
