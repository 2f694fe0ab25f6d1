"""Sets in BEIR layout: `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

from knowledge.contracts import AccessRule, Chunk, StoredDocument, chunk_id_of, document_id_of

EVERYONE = AccessRule(allow=frozenset({"everyone"}))


@dataclass(frozen=True)
class BeirSet:
    """Passages, questions, and which passages answer which question."""

    name: str
    passages: dict[str, dict[str, Any]]
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]


def load(folder: Path) -> BeirSet:
    """A set from its folder."""
    passages = {row["_id"]: row for row in _lines(folder / "corpus.jsonl")}
    queries = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    relevant: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, passage, grade = line.split("\t")
        relevant.setdefault(query, {})[passage] = int(grade)
    return BeirSet(folder.name, passages, {key: text for key, text in queries.items() if key in relevant}, relevant)


def as_document(name: str, row: Mapping[str, Any], language: str) -> tuple[StoredDocument, list[Chunk], str]:
    """A passage as a document of one chunk, named by its id."""
    uri = f"beir://{name}/{row['_id']}"
    document_id = document_id_of("default", uri)
    text = row["text"]
    heading = (row.get("metadata") or {}).get("heading") or ""
    chunk = Chunk(
        chunk_id=chunk_id_of(document_id, text, 0),
        document_id=document_id,
        ordinal=0,
        text=text,
        start=0,
        end=len(text),
        headings=(heading,) if heading else (),
        language=language,
    )
    document = StoredDocument(
        document_id=document_id,
        tenant="default",
        source=name,
        document=row["_id"],
        uri=uri,
        title=row.get("title") or "",
        media_type="text/plain",
        content_sha256="",
        fingerprint="1",
        size_bytes=len(text),
        access=EVERYONE,
        language=language,
    )
    return document, [chunk], text


def ndcg(ranked: Sequence[str], relevant: Mapping[str, int], depth: int = 10) -> float:
    """Normalised discounted gain with binary grades."""
    gain = sum(1 / log2(place + 2) for place, name in enumerate(ranked[:depth]) if relevant.get(name))
    best = sum(1 / log2(place + 2) for place in range(min(depth, sum(1 for grade in relevant.values() if grade))))
    return gain / best if best else 0.0


def recall(ranked: Sequence[str], relevant: Mapping[str, int], depth: int = 10) -> float:
    """Share of the relevant passages among the first."""
    wanted = {name for name, grade in relevant.items() if grade}
    return len(wanted & set(ranked[:depth])) / len(wanted) if wanted else 0.0


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
