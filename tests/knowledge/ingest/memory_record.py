"""A record in memory: the pipeline's view of the store, for tests that look at what was written."""

from collections.abc import Collection, Mapping, Sequence

from knowledge.contracts import AccessRule, Chunk, SourceItem, StoredDocument
from knowledge.ingest import IngestReport, KnownDocument, Surroundings
from knowledge.ingest.contracts import Holder, OnStep, Refusal
from knowledge.sources.access import narrow


class MemoryRecord:
    """Keeps documents by id and remembers every call."""

    def __init__(self) -> None:
        self.documents: dict[str, StoredDocument] = {}
        self.chunks: dict[str, tuple[Chunk, ...]] = {}
        self.texts: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.verdicts: dict[str, Refusal] = {}
        self.reports: list[IngestReport] = []
        self.calls: list[str] = []

    async def known(self, tenant: str, source: str) -> dict[str, KnownDocument]:
        return {
            document.uri: KnownDocument(
                document_id=document.document_id,
                document=document.document,
                fingerprint=document.fingerprint,
                content_sha256=document.content_sha256,
                access=document.access,
                own_date=document.own_date,
                sketch=document.sketch,
            )
            for document in self.documents.values()
            if (document.tenant, document.source) == (tenant, source)
        }

    async def held_elsewhere(self, tenant: str, source: str, uris: Collection[str]) -> dict[str, Holder]:
        return {
            document.uri: Holder(source=document.source, access=document.access)
            for document in self.documents.values()
            if document.tenant == tenant and document.source != source and document.uri in uris
        }

    async def adopt(self, document_ids: Sequence[str], source: str) -> None:
        for document_id in document_ids:
            self.documents[document_id] = self.documents[document_id].model_copy(update={"source": source})

    async def put(
        self, document: StoredDocument, chunks: Sequence[Chunk], text: str, on_step: OnStep | None = None
    ) -> None:
        self.calls.append(f"put {document.document}")
        self.documents[document.document_id] = document
        self.chunks[document.document_id] = tuple(chunks)
        self.texts[document.document_id] = text

    async def narrow(self, rules: Mapping[str, AccessRule], on_step: OnStep | None = None) -> None:
        for document_id, rule in rules.items():
            document = self.documents[document_id]
            self.calls.append(f"narrow {document.document}")
            access = narrow(document.access, rule)
            self.documents[document_id] = document.model_copy(update={"access": access})

    async def touch(self, document_id: str, now: Surroundings) -> None:
        self.calls.append(f"touch {now.document}")
        self.documents[document_id] = self.documents[document_id].model_copy(update=dict(now))

    async def remove(self, document_id: str) -> None:
        document = self.documents.pop(document_id)
        self.calls.append(f"remove {document.document}")
        del self.chunks[document_id], self.texts[document_id]

    async def refusals(self, tenant: str, source: str) -> dict[str, Refusal]:
        return dict(self.verdicts)

    async def quarantine(self, tenant: str, item: SourceItem, reason: str, verdict: str = "") -> None:
        self.verdicts[item.uri] = Refusal(document=item.document, verdict=verdict, reason=reason)
        self.calls.append(f"quarantine {item.document}")
        self.left_out[item.document] = reason

    async def finish(self, tenant: str, source: str, report: IngestReport) -> None:
        self.reports.append(report)
        self.left_out = {entry.document: entry.reason for entry in report.quarantined}
        self.verdicts = {uri: entry for uri, entry in self.verdicts.items() if entry.document in self.left_out}

    def paths(self) -> set[str]:
        return {document.document for document in self.documents.values()}

    def text_of(self, path: str) -> str:
        return next(self.texts[key] for key, document in self.documents.items() if document.document == path)

    def document_at(self, path: str) -> StoredDocument:
        return next(document for document in self.documents.values() if document.document == path)
