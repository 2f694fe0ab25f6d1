"""What flows through the knowledge layer: items from sources, parsed documents, chunks, and evidence.

Connectors yield `SourceItem`s; parsing makes a `ParsedDocument` of one; chunking makes `Chunk`s; the store keeps
them; retrieval returns `Hit`s. Offsets are character offsets into `ParsedDocument.text`.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

_URI_CHARACTERS = 2_000  # of a key in the record

BlockKind = Literal["prose", "list", "table", "code", "heading"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AccessRule(_Frozen):
    """Who may see a document: any subject of `allow`, none of `deny`. Empty `allow` means nobody."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()


class SourceItem(_Frozen):
    """One thing that a connector found; its bytes are read only when its fingerprint is new."""

    source: str = Field(description="Name of the source it belongs to.")
    document: str = Field(description="Path relative to the source, with '/'.")
    uri: str
    fingerprint: str = Field(description="Cheap to get, differs when the content may: size and mtime, ETag, UIDL.")
    size_bytes: int
    modified: datetime | None = None
    access: AccessRule
    tags: tuple[str, ...] = ()
    region: str = ""


class Former(_Frozen):
    """Earlier names of a source, and below which addresses what it took lies."""

    names: frozenset[str]
    roots: tuple[str, ...]


class Connector(Protocol):
    """One kind of source.

    It may have more to say: `partial`, what is not listed is there all the same; `former`, earlier names of its own;
    `cut`, set by `items()`: what bound the list, where it is not all that is there, and what to do.
    """

    @property
    def name(self) -> str: ...

    def items(self) -> AsyncIterator[SourceItem]:
        """Everything that is there now."""
        ...

    async def read(self, item: SourceItem) -> bytes:
        """The content; raises `ToolFault` with a reason when it cannot be had."""
        ...


class Block(_Frozen):
    """A run of text of one kind, with where it stands."""

    kind: BlockKind
    start: int
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None


class ParsedDocument(_Frozen):
    """What parsing and cleaning leave of a file."""

    title: str
    text: str
    blocks: tuple[Block, ...]
    media_type: str
    language: str = "und"
    modified: datetime | None = None
    authors: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    summary: str = ""
    access: AccessRule | None = Field(default=None, description="What the file itself says; narrows the source's rule.")
    warnings: tuple[str, ...] = ()


class Chunk(_Frozen):
    """A passage that is embedded, indexed and cited as one."""

    chunk_id: str
    document_id: str
    ordinal: int
    text: str
    start: int
    end: int
    kind: BlockKind = "prose"
    headings: tuple[str, ...] = ()
    page: int | None = None
    language: str = "und"


class StoredDocument(_Frozen):
    """A document as the record has it."""

    document_id: str
    tenant: str
    source: str
    document: str
    uri: str
    title: str
    media_type: str
    content_sha256: str
    fingerprint: str
    size_bytes: int
    access: AccessRule
    language: str = "und"
    modified: datetime | None = None
    own_date: datetime | None = Field(
        default=None, description="The date that it says itself; `modified` is its source's without one."
    )
    authors: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    region: str = ""
    summary: str = ""
    near_duplicate_of: str | None = None
    sketch: str = Field(default="", description="MinHash of the text; lets a later run find near-duplicates.")


class Filters(_Frozen):
    """What narrows a search; empty means anything."""

    sources: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    documents: tuple[str, ...] = ()


class Hit(_Frozen):
    """A chunk that fits a query, with everything needed to cite it."""

    chunk: Chunk
    document: StoredDocument
    score: float
    signals: dict[str, float] = Field(default_factory=dict)


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def name(self) -> str:
        """Changes whenever the vectors would."""
        ...

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> Any:
        """Float32 array (len(texts), dimensions), rows of length 1; batched inside; never blocks the loop."""
        ...


def document_id_of(tenant: str, uri: str) -> str:
    """The stable id of a document."""
    return hashlib.sha256(f"{tenant}|{uri}".encode()).hexdigest()[:32]


def bounded_uri(uri: str) -> str:
    """A uri that a key can hold: a long one, as of a part deep in an archive, is cut and told apart by its hash."""
    if len(uri) <= _URI_CHARACTERS:
        return uri
    digest = hashlib.sha256(uri.encode()).hexdigest()
    return f"{uri[: _URI_CHARACTERS - len(digest)]}{digest}"


def chunk_id_of(document_id: str, text: str, ordinal: int) -> str:
    """The stable id of a chunk: changes with its text, so an old vector can never serve a new text."""
    text_sha = hashlib.sha256(text.encode()).hexdigest()
    return hashlib.sha256(f"{document_id}|{text_sha}|{ordinal}".encode()).hexdigest()[:32]
