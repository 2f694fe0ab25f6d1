"""A passage's vectors: one for the whole and one for each sentence, made together and cached by content."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from knowledge.contracts import Embedder
from knowledge.embed.sentences import sentence_spans

Floats = NDArray[np.float32]
Int8s = NDArray[np.int8]


@dataclass(frozen=True)
class PassageText:
    """What is embedded of a chunk: its passage with title and headings, and its sentences alone."""

    title: str
    heading: str
    body: str
    key: str = ""

    @property
    def whole(self) -> str:
        """The text behind the passage's vector."""
        return ". ".join(part for part in (self.title, self.heading, self.body) if part)

    @property
    def sha(self) -> str:
        """The key under which its vectors are cached; a passage whose title changed later keeps its first."""
        return self.key or hashlib.sha256("\x1f".join((self.title, self.heading, self.body)).encode()).hexdigest()

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where the sentences stand in the body, as `knowledge.embed.sentences` finds them."""
        return sentence_spans(self.body)

    @property
    def sentences(self) -> list[str]:
        """The sentences."""
        return [self.body[start:end] for start, end in self.spans]


@dataclass(frozen=True)
class PassageVectors:
    """Unit vector of the whole, and the sentences' directions as int8."""

    vector: Floats
    sentences: Int8s


@runtime_checkable
class PassageEmbedder(Protocol):
    """An embedder that gets the sentences' vectors from the same pass as the passage's."""

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        """Vectors of passages, in order."""
        ...


async def embed_passages(embedder: Embedder, passages: Sequence[PassageText]) -> list[PassageVectors]:
    """Vectors of passages; one call to the embedder, so that texts of equal length share batches."""
    if isinstance(embedder, PassageEmbedder):
        return await embedder.embed_passages(passages)
    sentences = [passage.sentences for passage in passages]
    texts = [passage.whole for passage in passages]
    # A passage of one sentence still gets a sentence vector: without title and heading it is another text.
    texts.extend(sentence for group in sentences for sentence in group)
    vectors = await embedder.embed(texts)
    made: list[PassageVectors] = []
    at = len(passages)
    for index, group in enumerate(sentences):
        made.append(PassageVectors(vectors[index], pack(vectors[at : at + len(group)])))
        at += len(group)
    return made


def pack(vectors: Floats) -> Int8s:
    """Directions as int8: each row scaled to the full range. Its length is lost, which a cosine does not miss."""
    peak = np.maximum(np.abs(vectors).max(axis=1, keepdims=True, initial=0), 1e-12)
    return np.rint(vectors * (127.0 / peak)).astype(np.int8)


def cosines(query: Floats, packed: Int8s) -> Floats:
    """Cosine of a unit vector with each packed row."""
    rows = packed.astype(np.float32)
    return (rows @ query) / np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
