"""Which documents say nearly the same: MinHash over word 5-grams, looked up by bands.

A sketch is 64 permutations of 32 bits; two sketches agree in as large a share of places as their texts share grams.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from itertools import islice
from typing import Any

from knowledge.contracts import AccessRule

_PERMUTATIONS = 64
_BANDS = 16
_GRAM = 5
_CANDIDATES = 50
"""Looked at in each band: of thousands of copies of one text, any is as good to link to."""
_MAX_WORDS = 50_000
_WORD = re.compile(r"\w+")


def sketch_of(text: str) -> str:
    """The sketch of a text in base64; empty for texts too short to compare."""
    import numpy as np

    words = [match[0] for match in islice(_WORD.finditer(text.lower()), _MAX_WORDS)]
    if len(words) < 4 * _GRAM:
        return ""
    codes = {
        word: int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little") for word in set(words)
    }
    stream = np.fromiter((codes[word] for word in words), dtype=np.uint64, count=len(words))
    grams = np.zeros(len(words) - _GRAM + 1, dtype=np.uint64)
    for offset in range(_GRAM):
        grams = grams * np.uint64(0x9E3779B97F4A7C15) + stream[offset : offset + len(grams)]
    grams = np.unique(grams ^ (grams >> np.uint64(29)))
    factors, offsets = _permutations()
    smallest = np.empty(_PERMUTATIONS, dtype=np.uint32)
    for index in range(_PERMUTATIONS):
        mixed = grams * factors[index] + offsets[index]
        smallest[index] = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32)).min()
    return base64.b64encode(smallest.tobytes()).decode()


def similarity(one: str, other: str) -> float:
    """The estimated share of common word 5-grams of two sketches."""
    import numpy as np

    left, right = (np.frombuffer(base64.b64decode(sketch), dtype=np.uint32) for sketch in (one, other))
    return float((left == right).mean()) if len(left) == len(right) else 0.0


@dataclass(frozen=True, slots=True)
class Twin:
    """A document that says nearly the same as another."""

    document_id: str
    document: str
    similarity: float


class DuplicateFinder:
    """Remembers sketches and finds the most similar earlier one that exactly the same people may see."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._sketches: dict[str, tuple[str, str, AccessRule]] = {}
        self._bands: dict[int, list[str]] = {}

    def add(self, document_id: str, document: str, sketch: str, access: AccessRule) -> None:
        """Remember a document."""
        if sketch and document_id not in self._sketches:
            self._sketches[document_id] = (document, sketch, access)
            for band in _bands(sketch):
                self._bands.setdefault(band, []).append(document_id)

    def find(self, document_id: str, sketch: str, access: AccessRule) -> Twin | None:
        """The nearest other document of the same access rule, if it is near enough."""
        if not sketch:
            return None
        near = (twin for band in _bands(sketch) for twin in self._bands.get(band, ())[:_CANDIDATES])
        candidates = set(near) - {document_id}
        best: Twin | None = None
        for candidate in sorted(candidates):
            document, other, rule = self._sketches[candidate]
            if rule != access:
                continue
            score = similarity(sketch, other)
            if score >= self._threshold and (best is None or score > best.similarity):
                best = Twin(candidate, document, score)
        return best


def _bands(sketch: str) -> list[int]:
    raw = base64.b64decode(sketch)
    width = len(raw) // _BANDS
    return [int.from_bytes(bytes([band]) + raw[band * width : (band + 1) * width], "big") for band in range(_BANDS)]


def _permutations() -> tuple[Any, Any]:
    import numpy as np

    numbers = np.random.default_rng(20_240_229).integers(1, 1 << 63, size=(2, _PERMUTATIONS), dtype=np.uint64)
    return numbers[0] | np.uint64(1), numbers[1]
