"""One run over one source: list, compare, read, parse, cut, keep. Resumable at each document.

A file's fingerprint reaches the record with the last of its parts, so a run that dies anywhere is completed by the
next one: what was kept is skipped, what was half done is done again.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass

import structlog

from knowledge.chunk import chunk_document, estimate_tokens
from knowledge.contracts import AccessRule, Chunk, Connector, ParsedDocument, SourceItem, StoredDocument
from knowledge.duplicates import DuplicateFinder, sketch_of
from knowledge.ingest.changes import Inventory, Stamp, part_uri
from knowledge.ingest.contracts import (
    CountTokens,
    HeldElsewhere,
    Holder,
    IngestReport,
    KnownDocument,
    NearDuplicate,
    OnProgress,
    Quarantined,
    Record,
    Surroundings,
)
from knowledge.ingest.ownership import DEFAULT_TENANT, known_of, source_key
from knowledge.ingest.patience import Patience
from knowledge.ingest.refusals import RememberingParser
from knowledge.ingest.tally import Tally
from knowledge.parse.pool import Parsed, ParsedPart, ParserPool, Refused
from knowledge.parse.sniff import extension_of
from knowledge.settings import IngestSettings
from knowledge.sources.access import narrow
from signalbox.errors import ToolFault, UpstreamDown

_log = structlog.get_logger(__name__)


class IngestPipeline:
    """Brings sources into a record; one pipeline serves any number of runs."""

    def __init__(
        self,
        record: Record,
        parser: ParserPool,
        settings: IngestSettings | None = None,
        count_tokens: CountTokens = estimate_tokens,
    ) -> None:
        self._record = record
        self._parser = parser
        self._settings = settings or IngestSettings()
        self._count_tokens = count_tokens

    async def run(
        self,
        connector: Connector,
        *,
        dry_run: bool = False,
        on_progress: OnProgress | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> IngestReport:
        """Make the record hold what the source has now; a dry run reads and parses but writes nothing.

        Raises `UserFault` where the source itself is wrong; a file that cannot be taken is quarantined instead. A fault
        of the embedder or the record ends the run with what it says: every document stays as it was last kept.
        """
        source = source_key(tenant, connector.name)
        items = [item.model_copy(update={"source": source}) async for item in connector.items()]
        tally = Tally(connector.name, len(items), dry_run, on_progress)
        known = await known_of(self._record, connector, tenant, tally, self._settings)
        new = {item.uri for item in items} - known.keys()
        refusals = await self._record.refusals(tenant, source)
        run = _Run(
            connector=connector,
            record=None if dry_run else self._record,
            parser=RememberingParser(self._parser, self._settings.parse, refusals),
            settings=self._settings,
            count_tokens=self._count_tokens,
            tenant=tenant,
            inventory=Inventory(known, items, tenant, refusals),
            holders=await self._record.held_elsewhere(tenant, source, new),
            tally=tally,
            finder=DuplicateFinder(self._settings.near_duplicate_similarity),
            patience=Patience(self._settings.store_timeout_s),
        )
        await run.take_all(items, known)
        report = tally.report()
        if not dry_run:
            await self._record.finish(tenant, source, report)
        _log.info(
            "ingest_finished",
            source=connector.name,
            dry_run=dry_run,
            taken=report.taken,
            changed=report.changed,
            moved=report.moved,
            unchanged=report.unchanged,
            removed=report.removed,
            quarantined=len(report.quarantined),
            chunks=report.chunks,
            seconds=report.seconds,
        )
        return report


@dataclass(frozen=True, slots=True)
class _Same:
    """Content that the record has already, and who may see it and its parts from now on, by uri."""

    access: dict[str, AccessRule]


@dataclass(frozen=True, slots=True)
class _Run:
    """What the steps of one run share."""

    connector: Connector
    record: Record | None
    parser: RememberingParser
    settings: IngestSettings
    count_tokens: CountTokens
    tenant: str
    inventory: Inventory
    holders: dict[str, Holder]
    tally: Tally
    finder: DuplicateFinder
    patience: Patience

    async def take_all(self, items: list[SourceItem], known: dict[str, KnownDocument]) -> None:
        """Every item, a bounded number at once; then forget what is gone."""
        for uri, document in known.items():
            self.finder.add(document.document_id, uri, document.sketch, document.access)
        if self._bound:
            _log.warning("ingest_list_cut", source=self.connector.name, reason=self._bound)
            self.tally.warnings.append(f"{self._bound} What lies beyond was not read, and nothing was removed.")
        self.tally.tell("")
        if self.record is not None and (closed := self.inventory.closed(items)):
            # Before anything is read: neither a long run nor one that fails leaves open what the source has closed.
            await self._written(self.record.narrow(closed, self.patience.moved), "new access rules")
        waiting = iter(items)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.settings.parallel, len(items))):
                    group.create_task(self._take_some(waiting))
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures
        if not self._is_partial:
            await self._forget_gone(empty=not items)

    @property
    def _is_partial(self) -> bool:
        """Whether what was not listed may be there all the same: an upload is one file of many, a list may be cut."""
        return bool(getattr(self.connector, "partial", False) or self._bound)

    @property
    def _bound(self) -> str:
        """What cut the list short, if anything did."""
        return str(getattr(self.connector, "cut", ""))

    async def _take_some(self, waiting: Iterator[SourceItem]) -> None:
        for item in waiting:
            await self._take(item)
            self.tally.finished(item.document)

    async def _take(self, item: SourceItem) -> None:
        stamp = Stamp.of(item, self.settings)
        known = self.inventory.get(item.uri)
        if known is not None and known.fingerprint == str(stamp) and self.inventory.is_whole(item.uri):
            self.tally.unchanged += 1
            await self._refuse_again(item)
            return
        try:
            step = await self._compare(item, stamp, known)
        except ToolFault as fault:  # of this document; what goes wrong with the record or the embedder ends the run
            await self._leave_out(item, fault, known)
            return
        before = self.inventory.get(item.uri)  # one that moved is known under its new name by now
        if isinstance(step, Parsed):
            try:
                await self._keep(item, stamp, step)
            except HeldElsewhere as fault:  # another run was first just now, or its document began here and moved
                await self._leave_out(item, fault, known)
                return
        else:
            await self._relabel(item, step, stamp)
            await self._refuse_again(item)
        if before is None:
            self.tally.taken += 1
        elif known is None:
            self.tally.moved += 1
        elif isinstance(step, Parsed) or Stamp.read(before.fingerprint).labels != stamp.labels:
            self.tally.changed += 1
        else:
            self.tally.unchanged += 1

    async def _compare(self, item: SourceItem, stamp: Stamp, known: KnownDocument | None) -> Parsed | _Same:
        """What is to be written of an item; raises `ToolFault` where the item itself is at fault. Writes nothing."""
        if item.uri in self.holders:
            raise HeldElsewhere(self.holders[item.uri])
        if item.region and item.region != self.settings.region:
            raise ToolFault(f"It belongs to the region {item.region!r}, this store to {self.settings.region!r}.")
        data = await self._read(item)
        sha = await asyncio.to_thread(_sha256, data)
        if known is None and not self._is_partial:
            self.inventory.adopt_moved(item.uri, sha, stamp.pipeline)
        before = self.inventory.get(item.uri)
        if before is not None and _is_read_alike(item, sha, stamp, before) and self.inventory.is_whole(item.uri):
            return await self._same(item, stamp, data, sha)
        return await self.parser.parse(item, data, sha)

    async def _read(self, item: SourceItem) -> bytes:
        limit = self.settings.parse.max_bytes
        if item.size_bytes > limit:
            raise ToolFault(f"It is larger than {limit // 1_000_000} MB.")
        try:
            async with asyncio.timeout(self.settings.read_timeout_s):
                return await self.connector.read(item)
        except TimeoutError as error:
            raise ToolFault(
                f"Reading it took longer than {self.settings.read_timeout_s:g} s.", retryable=True
            ) from error

    async def _same(self, item: SourceItem, stamp: Stamp, data: bytes, sha: str) -> _Same:
        """Same content under another name, time or labels; only new labels make us parse it again, for its access."""
        tree = self.inventory.tree(item.uri)
        access = {uri: document.access for uri, document in tree.items()}
        if Stamp.read(tree[item.uri].fingerprint).labels != stamp.labels:
            parsed = await self.parser.parse(item, data, sha)
            access |= {part_uri(item.uri, part.path): rule for part, rule in _effective(item, parsed)}
        return _Same(access)

    async def _relabel(self, item: SourceItem, same: _Same, stamp: Stamp) -> None:
        for uri, document in self.inventory.tree(item.uri).items():
            now = Surroundings(
                fingerprint=str(stamp),
                document=f"{item.document}{_path_in(uri.removeprefix(item.uri))}",
                uri=uri,
                access=same.access[uri],
                tags=item.tags,
                region=item.region,
                modified=document.own_date or item.modified,
            )
            if self.record is not None:
                await self._written(self.record.touch(document.document_id, now), item.document)

    async def _keep(self, item: SourceItem, stamp: Stamp, parsed: Parsed) -> None:
        """Write what came out of a file, the file itself last; forget parts that it no longer has."""
        before = self.inventory.tree(item.uri)
        kept: set[str] = set()
        for part, access in _effective(item, parsed):
            path = f"{item.document}/{part.path}" if part.path else item.document
            uri = part_uri(item.uri, part.path)
            if part.document is None:
                await self._quarantine_part(item, part.path, part.reason)
                continue
            kept.add(uri)
            self.tally.warnings.extend(f"{path}: {warning}" for warning in part.document.warnings)
            if not (part.document.access is None or access.allow):
                self.tally.warnings.append(f"{path}: nobody may see it; its access rule excludes everybody.")
            await self._put(item, stamp, part, access, path)
        await self._remove([document for uri, document in before.items() if uri not in kept])

    async def _put(self, item: SourceItem, stamp: Stamp, part: ParsedPart, access: AccessRule, path: str) -> None:
        document = part.document
        assert document is not None
        uri = part_uri(item.uri, part.path)
        document_id = self.inventory.id_for(uri)
        chunks, sketch = await asyncio.to_thread(self._cut, document, document_id)
        twin = self.finder.find(document_id, sketch, access)
        self.finder.add(document_id, path, sketch, access)
        if twin is not None:
            self.tally.near_duplicates.append(
                NearDuplicate(document=path, of=twin.document, similarity=round(twin.similarity, 2))
            )
        self.tally.chunks += len(chunks)
        if self.record is None:
            return
        stored = StoredDocument(
            document_id=document_id,
            tenant=self.tenant,
            source=item.source,
            document=path,
            uri=uri,
            title=document.title,
            media_type=document.media_type,
            content_sha256=part.sha256,
            fingerprint=str(stamp),
            size_bytes=part.size_bytes,
            access=access,
            language=document.language,
            modified=document.modified or item.modified,
            own_date=document.modified,
            authors=document.authors,
            keywords=document.keywords,
            tags=item.tags,
            region=item.region,
            summary=document.summary,
            near_duplicate_of=twin.document_id if twin else None,
            sketch=sketch,
        )
        await self._written(self.record.put(stored, chunks, document.text, self.patience.moved), path)

    def _cut(self, document: ParsedDocument, document_id: str) -> tuple[tuple[Chunk, ...], str]:
        chunks = chunk_document(
            document, document_id, max_tokens=self.settings.chunk.max_tokens, count_tokens=self.count_tokens
        )
        return chunks, sketch_of(document.text)

    async def _leave_out(self, item: SourceItem, fault: ToolFault, known: KnownDocument | None) -> None:
        """A file that could not be had just now keeps its last version; one that was refused does not."""
        if fault.retryable and known is not None:
            self.tally.warnings.append(f"{item.document}: {fault.message} The version of the last run was kept.")
            self.tally.unchanged += 1
            await self._refuse_again(item)
            return
        await self._quarantine(item, fault.message, fault.verdict if isinstance(fault, Refused) else "")
        await self._remove(list(self.inventory.tree(item.uri).values()))

    async def _refuse_again(self, item: SourceItem) -> None:
        """What was refused in a file that is not read again is left out still, and said so."""
        for path, reason in self.inventory.refused_in(item.uri):
            await self._quarantine_part(item, path, reason)

    async def _quarantine_part(self, item: SourceItem, path: str, reason: str) -> None:
        inside = {"document": f"{item.document}/{path}", "uri": part_uri(item.uri, path)}
        await self._quarantine(item.model_copy(update=inside), reason)

    async def _quarantine(self, item: SourceItem, reason: str, verdict: str = "") -> None:
        self.tally.quarantined.append(Quarantined(document=item.document, reason=reason))
        if self.record is not None:
            await self._written(self.record.quarantine(self.tenant, item, reason, verdict), item.document)

    async def _forget_gone(self, *, empty: bool) -> None:
        gone = self.inventory.gone()
        if empty and gone and not self.settings.allow_emptying:
            self.tally.warnings.append(
                f"The source is empty now. The {len(gone)} documents known from it were kept; "
                "set allow_emptying to have them removed."
            )
            return
        for uri in gone:
            await self._remove(list(self.inventory.tree(uri).values()))
            self.tally.removed += 1

    async def _remove(self, documents: list[KnownDocument]) -> None:
        if self.record is not None:
            for document in documents:
                await self._written(self.record.remove(document.document_id), document.document_id)

    async def _written(self, write: Awaitable[None], document: str) -> None:
        """Wait for a write to the record while there are any that get further."""
        try:
            async with self.patience.wait():
                await write
        except TimeoutError as error:
            raise UpstreamDown(
                f"The record did not take {document!r}: nothing moved for {self.patience.quiet_s:g} s.",
                hint="Run the ingest again; it goes on where it stopped.",
            ) from error


def _is_read_alike(item: SourceItem, sha: str, stamp: Stamp, before: KnownDocument) -> bool:
    """Whether parsing would give what the record has: same content, same pipeline, and a name of the same kind."""
    return (
        before.content_sha256 == sha
        and Stamp.read(before.fingerprint).pipeline == stamp.pipeline
        and extension_of(before.document) == extension_of(item.document)
    )


def _effective(item: SourceItem, parsed: Parsed) -> Iterator[tuple[ParsedPart, AccessRule]]:
    """Each part with who may see it: the source's rule, narrowed by the file's and by the part's own."""
    root = parsed.parts[-1].document
    whole = narrow(item.access, root.access if root else None)
    for part in parsed.parts:
        yield part, narrow(whole, part.document.access if part.path and part.document else None)


def _path_in(fragment: str) -> str:
    from urllib.parse import unquote

    return unquote(fragment.removeprefix("#")) if fragment else ""


def _first(failures: BaseException) -> BaseException:
    """The failure that ended a group of tasks; the others were cancelled because of it."""
    return _first(failures.exceptions[0]) if isinstance(failures, BaseExceptionGroup) else failures


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
