"""Embeddings with a memory: one batch for what is new, nothing for what was seen."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from knowledge.contracts import Embedder

Vectors = NDArray[np.float32]


class VectorCache:
    """Least-recently-used cache of unit vectors in front of an embedder, shared by all calls."""

    def __init__(self, embedder: Embedder, *, entries: int, timeout_s: float) -> None:
        self._embedder = embedder
        self._entries = entries
        self._timeout_s = timeout_s
        self._known: OrderedDict[str, Vectors] = OrderedDict()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors (len(texts), dimensions); texts that are not cached go to the embedder in one batch."""
        found = {text: self._known[text] for text in texts if text in self._known}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            async with asyncio.timeout(self._timeout_s):
                fresh = np.asarray(await self._embedder.embed(missing), dtype=np.float32)
            found.update(zip(missing, fresh, strict=True))
        for text, vector in found.items():
            self._known[text] = vector
            self._known.move_to_end(text)
        while len(self._known) > self._entries:
            self._known.popitem(last=False)
        if not texts:
            return np.zeros((0, self._embedder.dimensions), dtype=np.float32)
        return np.stack([found[text] for text in texts])
