"""What the knowledge server's tools return."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from knowledge.contracts import Chunk, Filters, Hit, StoredDocument
from knowledge.index.alias import Alias
from knowledge.index.integrity import IntegrityReport
from knowledge.retrieve.candidates import Candidate
from knowledge.retrieve.reader import SourceSummary

Path = Annotated[str, Field(max_length=4_096)]
"""Where a document is in its source, or what its source is called: a folder has its path for a name."""
Label = Annotated[str, Field(max_length=300)]
"""A word by which documents are told apart, as long as the record keeps it."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Evidence(_Model):
    """One passage, verbatim, with everything needed to cite it."""

    ref: str = Field(description="Cite the passage with this handle: [#ref].")
    chunk_id: str
    document_id: str
    document: str = Field(description="Path of the document in its source.")
    title: str
    heading: str = ""
    page: int | None = None
    start: int
    end: int
    uri: str
    text: str
    modified: str | None = Field(default=None, description="Date of the document.")
    score: float = Field(default=0.0, ge=0, le=1)
    likeness: float | None = Field(default=None, description="How near question and passage are in meaning (cosine).")
    answers: float | None = Field(
        default=None, ge=0, le=1, description="How likely the passage answers the question; null: it was not judged."
    )


class SearchFilters(_Model):
    """What narrows a search; what is left out means anything."""

    sources: list[Path] = Field(default_factory=list, max_length=20, description="Only from these sources.")
    documents: list[Path] = Field(default_factory=list, max_length=50, description="Only these paths or ids.")
    tags: list[Label] = Field(default_factory=list, max_length=20)
    authors: list[Label] = Field(default_factory=list, max_length=20)
    media_types: list[Label] = Field(default_factory=list, max_length=20, description="For example application/pdf.")
    modified_after: datetime | None = Field(default=None, description="Only documents of this ISO date or later.")
    modified_before: datetime | None = Field(default=None, description="Only documents before this ISO date.")

    def as_filters(self) -> Filters:
        """The same for the knowledge layer."""
        return Filters(
            sources=tuple(self.sources),
            documents=tuple(self.documents),
            tags=tuple(self.tags),
            authors=tuple(self.authors),
            media_types=tuple(self.media_types),
            modified_after=self.modified_after,
            modified_before=self.modified_before,
        )


class SearchResult(_Model):
    """Passages that fit a question, best first."""

    evidence: list[Evidence]
    answerable: float = Field(
        ge=0, le=1, description="How well the best passage fits; below 0.5 the documents do not hold an answer."
    )
    next_cursor: str | None = Field(default=None, description="Pass it as cursor to get the next passages.")


class ReadResult(_Model):
    """A part of a document."""

    document_id: str
    document: str
    title: str
    uri: str
    modified: str | None
    text: str
    start: int
    end: int
    total_characters: int
    next_start: int | None = Field(description="Pass it as start to read on; null at the end.")
    evidence: list[Evidence]


class Source(_Model):
    """A source with what you may see of it."""

    name: str
    documents: int
    newest: str | None
    media_types: dict[str, int]


class SourceList(_Model):
    """All sources."""

    sources: list[Source]


class DocumentEntry(_Model):
    """A document in a list."""

    document_id: str
    document: str
    title: str
    source: str
    media_type: str
    modified: str | None
    uri: str


class DocumentList(_Model):
    """Documents by path."""

    documents: list[DocumentEntry]
    next_cursor: str | None = None


class Removed(_Model):
    """What was removed."""

    source: str
    documents: int
    summary: str


class Health(_Model):
    """What an integrity check found and mended."""

    green: bool
    summary: str
    passages: int
    missing: int
    orphaned: int
    mislabelled: int
    unreachable: int
    words_rebuilt: bool


class ServingIndex(_Model):
    """Which index of vectors serves now, and which one is kept as the way back."""

    serving: str
    embedder: str
    before: str | None
    summary: str


def health_of(report: IntegrityReport) -> Health:
    """A check for the wire."""
    mended = report.missing + report.orphaned + report.mislabelled + report.unreachable
    words = " The index of words was made again." if report.words_rebuilt else ""
    return Health(
        green=report.green,
        summary="Everything agrees." if report.green else f"Mended {mended} passages.{words}",
        passages=report.passages,
        missing=report.missing,
        orphaned=report.orphaned,
        mislabelled=report.mislabelled,
        unreachable=report.unreachable,
        words_rebuilt=report.words_rebuilt,
    )


def serving_of(alias: Alias, summary: str = "") -> ServingIndex:
    """Which index serves, for the wire; after a switch the summary says so."""
    told = summary or f"Serves from {alias.current}. The way back leads to {alias.previous}."
    return ServingIndex(serving=alias.current, embedder=alias.embedder, before=alias.previous, summary=told)


def evidence_of_hits(hits: Iterable[Hit]) -> list[Evidence]:
    """Search hits as evidence."""
    return [
        _evidence(hit.chunk, hit.document, hit.score).model_copy(
            update={"likeness": _signal(hit, "dense"), "answers": _signal(hit, "answers")}
        )
        for hit in hits
    ]


def evidence_of_passages(passages: Iterable[Candidate]) -> list[Evidence]:
    """Passages that were read, not searched for: all count the same."""
    return [_evidence(item.chunk, item.document, 1.0) for item in passages]


def source_of(summary: SourceSummary) -> Source:
    """A source for the wire."""
    return Source(
        name=summary.name, documents=summary.documents, newest=summary.latest, media_types=summary.media_types
    )


def entry_of(document: StoredDocument) -> DocumentEntry:
    """A document for a list."""
    return DocumentEntry(
        document_id=document.document_id,
        document=document.document,
        title=document.title,
        source=document.source,
        media_type=document.media_type,
        modified=modified_of(document),
        uri=link(document.document_id),
    )


def link(document_id: str, chunk_id: str = "") -> str:
    """Where a person opens the document: the gateway reads the passage from the query and marks it as `cited`."""
    return f"/v1/documents/{document_id}" + (f"?chunk={chunk_id}#cited" if chunk_id else "")


def modified_of(document: StoredDocument) -> str | None:
    """The document's ISO date, where known."""
    return document.modified.date().isoformat() if document.modified else None


def _signal(hit: Hit, name: str) -> float | None:
    value = hit.signals.get(name, 0.0)
    return round(value, 4) if value else None


def _evidence(chunk: Chunk, document: StoredDocument, score: float) -> Evidence:
    return Evidence(
        ref=chunk.chunk_id[:8],
        chunk_id=chunk.chunk_id,
        document_id=document.document_id,
        document=document.document,
        title=document.title,
        heading=" › ".join(heading for heading in chunk.headings if heading != document.title),
        page=chunk.page,
        start=chunk.start,
        end=chunk.end,
        uri=link(document.document_id, chunk.chunk_id),
        text=chunk.text,
        modified=modified_of(document),
        score=score,
    )
