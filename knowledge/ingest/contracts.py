"""What the pipeline needs from the record, and what it tells whoever watches it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from knowledge.contracts import AccessRule, Chunk, SourceItem, StoredDocument
from signalbox.errors import ToolFault

CountTokens = Callable[[str], int]
OnStep = Callable[[], None]
"""Told by a record that a long write got further, so that its caller goes on waiting."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KnownDocument(_Frozen):
    """What the record remembers of a document: enough to see whether it changed without reading it."""

    document_id: str
    document: str
    fingerprint: str
    content_sha256: str
    access: AccessRule
    own_date: datetime | None = None
    sketch: str = ""
    """`StoredDocument.sketch`; without it near-duplicates are found within one run only."""


class Surroundings(_Frozen):
    """Everything about a document that may change while its content stays."""

    fingerprint: str
    document: str
    uri: str
    access: AccessRule
    tags: tuple[str, ...] = ()
    region: str = ""
    modified: datetime | None = None


class Holder(_Frozen):
    """The source that a document belongs to, and who may see it there."""

    source: str
    access: AccessRule


class HeldElsewhere(ToolFault):
    """A document of one source is another's already: who took it first keeps it, and decides who may see it."""

    def __init__(self, holder: Holder | None) -> None:
        if holder is None:  # another tenant's, whose names are not to be told
            super().__init__("Its id is that of another document.")
            return
        allowed = ", ".join(sorted(holder.access.allow)) or "nobody"
        denied = f", not for {', '.join(sorted(holder.access.deny))}" if holder.access.deny else ""
        super().__init__(
            f"It belongs to the source {holder.source!r} already and stays there, for {allowed}{denied}. "
            "Exclude it there, or remove that source, to have it here."
        )


class Quarantined(_Frozen):
    """A document that was left out, and why, in words for the person who put it there."""

    document: str
    reason: str


class Refusal(_Frozen):
    """Why a file, or a part of one, was refused.

    `verdict` is a digest of its content and of what it was judged by; empty where it is not to be remembered as such.
    """

    document: str
    verdict: str
    reason: str


class NearDuplicate(_Frozen):
    """Two documents that say nearly the same; both are kept."""

    document: str
    of: str
    similarity: float


class IngestReport(_Frozen):
    """What one run over one source did. In a dry run: what it would do."""

    source: str
    dry_run: bool = False
    taken: int = 0
    changed: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    quarantined: tuple[Quarantined, ...] = ()
    warnings: tuple[str, ...] = ()
    near_duplicates: tuple[NearDuplicate, ...] = ()
    chunks: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """Where a run stands; `done` of `total` files, and the one that was finished last."""

    total: int
    done: int
    taken: int
    skipped: int
    quarantined: int
    chunks: int
    current: str


OnProgress = Callable[[IngestProgress], None]


class Record(Protocol):
    """Where documents are kept. Every method is durable when it returns."""

    async def known(self, tenant: str, source: str) -> dict[str, KnownDocument]:
        """All documents of a tenant's source, by uri; never another tenant's."""
        ...

    async def held_elsewhere(self, tenant: str, source: str, uris: Collection[str]) -> dict[str, Holder]:
        """Which of these belong to another source of the tenant, by uri."""
        ...

    async def adopt(self, document_ids: Sequence[str], source: str) -> None:
        """These documents belong to that source from now on."""
        ...

    async def put(
        self, document: StoredDocument, chunks: Sequence[Chunk], text: str, on_step: OnStep | None = None
    ) -> None:
        """Keep a document and its passages in place of what was there under its id; it becomes searchable.

        Raises `HeldElsewhere`, and writes nothing, where what is there belongs to another source.
        """
        ...

    async def narrow(self, rules: Mapping[str, AccessRule], on_step: OnStep | None = None) -> None:
        """At most these see the documents from now on, by id; nothing else about them changes."""
        ...

    async def touch(self, document_id: str, now: Surroundings) -> None:
        """The content stayed, what is around it changed: moved, renamed, relabelled."""
        ...

    async def remove(self, document_id: str) -> None:
        """Forget a document and its passages."""
        ...

    async def quarantine(self, tenant: str, item: SourceItem, reason: str, verdict: str = "") -> None:
        """Remember that an item was left out, and the verdict where the same content would be left out again."""
        ...

    async def refusals(self, tenant: str, source: str) -> dict[str, Refusal]:
        """What runs so far refused for good, by uri."""
        ...

    async def finish(self, tenant: str, source: str, report: IngestReport) -> None:
        """A run over a tenant's source is over."""
        ...
