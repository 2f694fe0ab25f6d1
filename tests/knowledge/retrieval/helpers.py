"""Documents for tests, and an embedder that costs nothing: words hashed into a few dimensions."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from knowledge.contracts import AccessRule, Chunk, StoredDocument, chunk_id_of, document_id_of
from signalbox.identity import Principal

ADA = Principal(user="ada", groups=frozenset({"staff", "operations"}))
CLARA = Principal(user="clara", groups=frozenset({"staff", "finance"}))


class WordEmbedder:
    """Equal words, near vectors. Counts what it was asked, to show what the cache spares."""

    def __init__(self, name: str = "words-1", dimensions: int = 64, languages: Iterable[str] = ()) -> None:
        self._name = name
        self._dimensions = dimensions
        self.languages = frozenset(languages)
        self.asked: list[str] = []

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimensions(self) -> int:
        return self._dimensions

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.extend(texts)
        vectors = np.zeros((len(texts), self._dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                digest = hashlib.sha256(f"{self._name}{word}".encode()).digest()
                vectors[row] += np.frombuffer((digest * 8)[: self._dimensions], np.uint8).astype(np.float32) - 127.5
            vectors[row, 0] += 1e-3
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def close(self) -> None:
        pass


Parts = tuple[StoredDocument, list[Chunk], str]


def make_document(
    name: str,
    passages: Sequence[str],
    *,
    allow: Iterable[str] = ("everyone",),
    deny: Iterable[str] = (),
    **fields: object,
) -> Parts:
    """A document of these passages with its chunks and its text."""
    text = "\n\n".join(passages)
    uri = f"file:///{name}"
    document_id = document_id_of("default", uri)
    chunks: list[Chunk] = []
    at = 0
    for ordinal, passage in enumerate(passages):
        chunks.append(
            Chunk(
                chunk_id=chunk_id_of(document_id, passage, ordinal),
                document_id=document_id,
                ordinal=ordinal,
                text=passage,
                start=at,
                end=at + len(passage),
                language=str(fields.get("language", "en")),
            )
        )
        at += len(passage) + 2
    values: dict[str, object] = {
        "document_id": document_id,
        "tenant": "default",
        "source": "docs",
        "document": name,
        "uri": uri,
        "title": name.removesuffix(".md"),
        "media_type": "text/markdown",
        "content_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "fingerprint": "1",
        "size_bytes": len(text),
        "access": AccessRule(allow=frozenset(allow), deny=frozenset(deny)),
        "language": "en",
    }
    return StoredDocument.model_validate({**values, **fields}), chunks, text


LEAVE = make_document(
    "leave.md",
    ["Parental leave is 20 weeks. It is paid in full.", "Sick leave needs a doctor's note after three days."],
    tags=("people",),
)
PAY = make_document(
    "pay.md",
    ["The chief executive earns 210,000 euros a year.", "Bonuses are paid in March."],
    allow=("group:finance",),
)
BIKES = make_document(
    "bikes.md", ["The Heron carries 80 kilograms.", "The Albatross carries 200 kilograms and a trailer."]
)
