"""Between the layer's models and the record's rows."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from knowledge.contracts import AccessRule, Chunk, StoredDocument
from knowledge.embed.passages import PassageText
from knowledge.ingest.contracts import Surroundings

_COLUMNS = ("document_id", "tenant", "source", "document", "uri", "fingerprint", "content_sha256", "media_type")


def document_values(document: StoredDocument, aclset: int) -> dict[str, Any]:
    """Column values of a document that is complete."""
    return {
        **{name: getattr(document, name) for name in _COLUMNS},
        "aclset": aclset,
        "state": "indexed",
        "modified": instant(document.modified),
        "record": document.model_dump(mode="json", exclude={"access"}),
        "updated_at": time.time(),
    }


def facet_values(document: StoredDocument) -> list[dict[str, str]]:
    """What a search may be narrowed to."""
    return tag_values(document.document_id, document.tags) + _facets(document.document_id, "author", document.authors)


def tag_values(document_id: str, tags: Iterable[str]) -> list[dict[str, str]]:
    """The facets that a document has from its source."""
    return _facets(document_id, "tag", tags)


def surroundings_values(record: Mapping[str, Any], now: Surroundings, aclset: int) -> dict[str, Any]:
    """Column values of a document whose content stayed; `record` is its description so far."""
    return {
        **now.model_dump(include={"fingerprint", "document", "uri"}),
        "aclset": aclset,
        "modified": instant(now.modified),
        "record": {**record, **now.model_dump(mode="json", exclude={"access"})},
        "updated_at": time.time(),
    }


def chunk_values(document: StoredDocument, chunk: Chunk, *, dense: bool) -> dict[str, Any]:
    """Column values of a chunk, without state."""
    passage = passage_of(document, chunk)
    return {
        "chunk_id": chunk.chunk_id,
        "document_id": chunk.document_id,
        "ordinal": chunk.ordinal,
        "title": passage.title,
        "heading": passage.heading,
        "body": passage.body,
        "input_sha": passage.sha,
        "dense": int(dense),
        "record": chunk.model_dump(mode="json", exclude={"text"}),
    }


def passage_of(document: StoredDocument, chunk: Chunk) -> PassageText:
    """What is embedded and searched of a chunk."""
    headings = [heading for heading in chunk.headings if heading != document.title]
    return PassageText(title=document.title, heading=" › ".join(headings), body=chunk.text)


def read_chunk(record: dict[str, Any], body: str) -> Chunk:
    """A chunk from its row."""
    return Chunk.model_validate({**record, "text": body})


def read_document(record: dict[str, Any], access: AccessRule) -> StoredDocument:
    """A document from its row."""
    return StoredDocument.model_validate({**record, "access": access})


def run_key(tenant: str, source: str) -> str:
    """By which runs over a tenant's source are kept; no two sources share one, whatever their names hold.

    The plain name where that says it all, as records of earlier versions have it.
    """
    return source if tenant == "default" and ":" not in source else f"{quote(tenant, safe='')}:{source}"


def instant(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC; a moment without a zone is taken as UTC."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds")


def _facets(document_id: str, kind: str, values: Iterable[str]) -> list[dict[str, str]]:
    cut = sorted({value[:300] for value in values})
    return [{"document_id": document_id, "kind": kind, "value": value} for value in cut]
