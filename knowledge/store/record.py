"""The record of documents and passages: what ingest writes to, and the truth that every index is checked against.

A write goes: record (pending) → vectors through the cache → Chroma → one transaction that makes the passages live,
indexes their words and lets the old ones go → Chroma forgets the old ids. Killed anywhere in between, the document
is read again by the next run, and nothing half-done is ever found by a search. Until the old text goes, it is shown to
those who may see both versions and to nobody else.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge import schema as t
from knowledge.contracts import AccessRule, Chunk, Embedder, SourceItem, StoredDocument, bounded_uri
from knowledge.embed import covers
from knowledge.index.alias import Alias, Aliases
from knowledge.index.dense import DenseIndex, DenseRow
from knowledge.index.lexical import LexicalIndex
from knowledge.ingest.contracts import Holder, IngestReport, KnownDocument, OnStep, Quarantined, Refusal, Surroundings
from knowledge.sources.access import narrow
from knowledge.store.access import intern_rule, rules_of
from knowledge.store.database import Database, batches
from knowledge.store.holders import adopt, held_elsewhere, refuse_foreign
from knowledge.store.labels import dense_ids, live_rows, narrow_rules
from knowledge.store.rows import (
    chunk_values,
    document_values,
    facet_values,
    passage_of,
    run_key,
    surroundings_values,
    tag_values,
)
from knowledge.store.vectors import VectorCache
from signalbox.errors import Bug, NotFound, UserFault


@dataclass(frozen=True)
class _Plan:
    document: StoredDocument
    aclset: int
    before: int | None
    meanwhile: int
    alias: Alias
    fresh: list[Chunk]
    kept: list[Chunk]
    gone: list[str]


@dataclass(frozen=True)
class Indexes:
    """The two rebuildable indexes and who decides which collection serves."""

    dense: DenseIndex
    lexical: LexicalIndex
    aliases: Aliases


class KnowledgeStore:
    """Implements `knowledge.ingest.contracts.Record`; one in each deployment (see `knowledge.index.lock`)."""

    def __init__(
        self, database: Database, indexes: Indexes, embedder: Embedder, cache: VectorCache, *, region: str
    ) -> None:
        self._database = database
        self._dense = indexes.dense
        self._lexical = indexes.lexical
        self._aliases = indexes.aliases
        self._embedder = embedder
        self._cache = cache
        self._region = region
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(self) -> None:
        """Make the tables that are missing; refuse a record that holds documents of another region."""
        async with self._database.write() as connection:
            await connection.run_sync(t.metadata.create_all)
            await self._lexical.create(connection)
            region = t.document.c.record["region"].as_string()
            foreign = select(region).where(region.not_in(["", self._region])).limit(1)
            if (found := (await connection.execute(foreign)).scalar()) is not None:
                raise UserFault(
                    f"The record holds documents tagged for region {found!r}; this store's is {self._region!r}.",
                    hint="Set knowledge.retrieval.region (and ingest.region) to it, or begin with an empty record.",
                )

    async def known(self, tenant: str, source: str) -> dict[str, KnownDocument]:
        """All documents of a tenant's source, by uri. One that was left half-written has no fingerprint."""
        query = select(t.document).where(t.document.c.tenant == tenant, t.document.c.source == source)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            rules = await rules_of(connection, [row.aclset for row in rows])
        return {
            row.uri: KnownDocument(
                document_id=row.document_id,
                document=row.document,
                fingerprint=row.fingerprint,
                content_sha256=row.content_sha256 if row.fingerprint else "",
                access=rules[row.aclset],
                own_date=(row.record or {}).get("own_date"),
                sketch=(row.record or {}).get("sketch", ""),
            )
            for row in rows
        }

    async def ids_of(self, tenant: str, source: str) -> list[str]:
        """Ids of a tenant's documents of a source."""
        query = select(t.document.c.document_id).where(t.document.c.tenant == tenant, t.document.c.source == source)
        async with self._database.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def held_elsewhere(self, tenant: str, source: str, uris: Collection[str]) -> dict[str, Holder]:
        """Which of these belong to another source of the tenant, by uri."""
        async with self._database.read() as connection:
            return await held_elsewhere(connection, tenant, source, uris)

    async def adopt(self, document_ids: Sequence[str], source: str) -> None:
        """These documents belong to that source from now on; nothing else about them changes."""
        async with self._database.write() as connection:
            await adopt(connection, document_ids, source)

    async def put(
        self, document: StoredDocument, chunks: Sequence[Chunk], text: str, on_step: OnStep | None = None
    ) -> None:
        """Keep a document and its passages in place of what was there under its id; it becomes searchable."""
        self._check(document, chunks, text)
        async with self._turn(document.document_id):
            async with self._database.write() as connection:
                plan = await self._begin(connection, document, chunks, text)
            if plan.before not in (None, plan.aclset):
                # A label only chooses candidates. What the record still keeps narrower is not shown.
                await self._relabel(plan.alias, [chunk.chunk_id for chunk in plan.kept], plan.aclset)
            rows = await self._add_vectors(plan, on_step)
            async with self._database.write() as connection:
                await self._complete(connection, plan, text)
                alias = await self._aliases.ensure(connection, document.tenant, self._embedder.name)
            for collection in alias.fed_by(self._embedder.name):
                if collection not in plan.alias.collections:  # one that began to be built meanwhile
                    await self._dense.add(collection, rows)
            for collection in alias.collections:
                await self._dense.delete(collection, plan.gone)
        await self._lexical.after_write()

    async def narrow(self, rules: Mapping[str, AccessRule], on_step: OnStep | None = None) -> None:
        """At most these see the documents from now on, by id; nothing else about them changes.

        All of the record first: what lags behind it cannot show anything.
        """
        async with self._database.write() as connection:
            changed = await narrow_rules(connection, self._lexical, rules)
            aliases = {
                tenant: await self._aliases.ensure(connection, tenant, self._embedder.name)
                for tenant in {one.tenant for one in changed}
            }
        for one in changed:
            await self._relabel(aliases[one.tenant], one.vectors, one.aclset)
            if on_step:
                on_step()
        await self._lexical.after_write()

    async def touch(self, document_id: str, now: Surroundings) -> None:
        """The content stayed, what is around it changed. A narrower access holds from the moment this commits."""
        self._check_region(now.document, now.region)
        async with self._turn(document_id):
            async with self._database.write() as connection:
                row = await _document_row(connection, document_id)
                aclset = await intern_rule(connection, row.tenant, now.access)
                change = update(t.document).where(t.document.c.document_id == document_id)
                await connection.execute(change.values(surroundings_values(row.record, now, aclset)))
                tags = (t.facet.c.document_id == document_id) & (t.facet.c.kind == "tag")
                await connection.execute(delete(t.facet).where(tags))
                if facets := tag_values(document_id, now.tags):
                    await connection.execute(insert(t.facet), facets)
                if aclset != row.aclset:
                    await self._lexical.relabel(connection, await live_rows(connection, document_id))
                ids = await dense_ids(connection, document_id)
                alias = await self._aliases.ensure(connection, row.tenant, self._embedder.name)
            if aclset != row.aclset:
                await self._relabel(alias, ids, aclset)
        await self._lexical.after_write()

    async def remove(self, document_id: str) -> None:
        """Forget a document: text, passages, words, vectors and their cache. Unknown ids are fine."""
        async with self._turn(document_id):
            async with self._database.write() as connection:
                query = select(t.document.c.tenant).where(t.document.c.document_id == document_id)
                tenant = (await connection.execute(query)).scalar()
                if tenant is None:
                    return
                ids = await dense_ids(connection, document_id)
                alias = await self._aliases.ensure(connection, tenant, self._embedder.name)
                await self._drop_chunks(connection, document_id, None)
                await connection.execute(delete(t.document).where(t.document.c.document_id == document_id))
            for collection in alias.collections:
                await self._dense.delete(collection, ids)

    async def quarantine(self, tenant: str, item: SourceItem, reason: str, verdict: str = "") -> None:
        """Remember that an item was left out, and why."""
        values = {
            "source": run_key(tenant, item.source),
            "uri": bounded_uri(item.uri),
            "document": item.document,
            "fingerprint": verdict,
            "reason": reason,
            "at": time.time(),
        }
        dialect = sqlite.insert if self._database.dialect == "sqlite" else postgresql.insert
        statement = dialect(t.quarantine).values(values)
        statement = statement.on_conflict_do_update(index_elements=["source", "uri"], set_=values)
        async with self._database.write() as connection:
            await connection.execute(statement)

    async def refusals(self, tenant: str, source: str) -> dict[str, Refusal]:
        """What the last run refused, by uri, parts of files among it."""
        mine = t.quarantine.c.source == run_key(tenant, source)
        async with self._database.read() as connection:
            rows = (await connection.execute(select(t.quarantine).where(mine))).all()
        return {row.uri: Refusal(document=row.document, verdict=row.fingerprint, reason=row.reason) for row in rows}

    async def finish(self, tenant: str, source: str, report: IngestReport) -> None:
        """A run over a source is over: keep its report, and the quarantine of this run only."""
        still = [item.document for item in report.quarantined]
        key = run_key(tenant, source)
        async with self._database.write() as connection:
            values = {"source": key, "finished_at": time.time(), "report": report.model_dump(mode="json")}
            await connection.execute(insert(t.ingest_job).values(values))
            names = select(t.quarantine.c.document).where(t.quarantine.c.source == key)
            healed = set((await connection.execute(names)).scalars()) - set(still)
            for part in batches(sorted(healed)):
                gone = delete(t.quarantine).where(t.quarantine.c.source == key, t.quarantine.c.document.in_(part))
                await connection.execute(gone)

    async def quarantined(self, tenant: str, source: str) -> list[Quarantined]:
        """What the last run left out, and why."""
        mine = t.quarantine.c.source == run_key(tenant, source)
        columns = (t.quarantine.c.document, t.quarantine.c.reason)
        query = select(*columns).where(mine).order_by(t.quarantine.c.document).distinct()
        async with self._database.read() as connection:
            return [Quarantined(document=row.document, reason=row.reason) for row in await connection.execute(query)]

    def _check(self, document: StoredDocument, chunks: Sequence[Chunk], text: str) -> None:
        self._check_region(document.document, document.region)
        for chunk in chunks:
            if chunk.document_id != document.document_id or text[chunk.start : chunk.end] != chunk.text:
                raise Bug(f"Passage {chunk.chunk_id!r} is not what stands at its place in {document.document!r}.")

    def _check_region(self, document: str, region: str) -> None:
        if region and region != self._region:
            raise UserFault(
                f"{document!r} is tagged for region {region!r}; this store's is {self._region!r}.",
                hint="Ingest it in that region's deployment.",
            )

    def _turn(self, document_id: str) -> asyncio.Lock:
        lock = self._busy.get(document_id)
        if lock is None:
            lock = self._busy[document_id] = asyncio.Lock()
        return lock

    async def _begin(
        self, connection: AsyncConnection, document: StoredDocument, chunks: Sequence[Chunk], text: str
    ) -> _Plan:
        await refuse_foreign(connection, document)
        aclset = await intern_rule(connection, document.tenant, document.access)
        alias = await self._aliases.ensure(connection, document.tenant, self._embedder.name)
        before, meanwhile = await self._narrow(connection, document, aclset)
        left = await self._drop_pending(connection, document.document_id)
        query = select(t.chunk.c.chunk_id).where(t.chunk.c.document_id == document.document_id)
        there = set((await connection.execute(query)).scalars())
        wanted = {chunk.chunk_id: chunk for chunk in chunks}
        fresh = [chunk for name, chunk in wanted.items() if name not in there]
        values = [
            {**chunk_values(document, chunk, dense=self._is_dense(document, chunk)), "state": "pending"}
            for chunk in fresh
        ]
        if values:
            await connection.execute(insert(t.chunk), values)
        kept = [chunk for name, chunk in wanted.items() if name in there]
        gone = sorted((there | left) - set(wanted))
        return _Plan(document, aclset, before, meanwhile, alias, fresh, kept, gone)

    async def _narrow(
        self, connection: AsyncConnection, document: StoredDocument, aclset: int
    ) -> tuple[int | None, int]:
        """Who might see the document so far, and who may until the new text takes the old one's place.

        The old text is live until then: the new rule may close it at once, and must not open it to anybody.
        """
        mine = t.document.c.document_id == document.document_id
        before = (await connection.execute(select(t.document.c.aclset).where(mine))).scalar()
        if before is None:
            values = {**document_values(document, aclset), "state": "pending", "fingerprint": ""}
            await connection.execute(insert(t.document).values(values))
            return None, aclset
        rule = (await rules_of(connection, [before]))[before]
        meanwhile = await intern_rule(connection, document.tenant, narrow(rule, document.access))
        # The fingerprint returns when everything is in place.
        await connection.execute(update(t.document).where(mine).values(aclset=meanwhile, fingerprint=""))
        if before != meanwhile:
            await self._lexical.relabel(connection, await live_rows(connection, document.document_id))
        return before, meanwhile

    async def _add_vectors(self, plan: _Plan, on_step: OnStep | None = None) -> list[DenseRow]:
        dense = [chunk for chunk in plan.fresh if self._is_dense(plan.document, chunk)]
        passages = {chunk.chunk_id: passage_of(plan.document, chunk) for chunk in dense}
        vectors = await self._cache.of(list(passages.values()), on_step)
        rows = [
            DenseRow(chunk.chunk_id, chunk.document_id, plan.aclset, vectors[passages[chunk.chunk_id].sha].vector)
            for chunk in dense
        ]
        for collection in plan.alias.fed_by(self._embedder.name):
            await self._dense.add(collection, rows)
        return rows

    async def _complete(self, connection: AsyncConnection, plan: _Plan, text: str) -> None:
        document = plan.document
        mine = t.document.c.document_id == document.document_id
        await self._drop_chunks(connection, document.document_id, plan.gone)
        # Before its words are indexed, since they are indexed under its access set.
        await connection.execute(update(t.document).where(mine).values(document_values(document, plan.aclset)))
        if plan.meanwhile != plan.aclset:
            await self._lexical.relabel(connection, await live_rows(connection, document.document_id))
        await self._refresh(connection, document, plan.kept)
        live = update(t.chunk).where(t.chunk.c.document_id == document.document_id, t.chunk.c.state == "pending")
        rows = (await connection.execute(live.values(state="live").returning(t.chunk.c.seq))).scalars().all()
        for part in batches(rows):
            await self._lexical.add(connection, part)
        for table in (t.document_text, t.facet):
            await connection.execute(delete(table).where(table.c.document_id == document.document_id))
        await connection.execute(insert(t.document_text).values(document_id=document.document_id, text=text))
        if facets := facet_values(document):
            await connection.execute(insert(t.facet), facets)

    async def _refresh(self, connection: AsyncConnection, document: StoredDocument, kept: Sequence[Chunk]) -> None:
        """Passages whose text stayed may have moved within the document, or got another title."""
        columns = (t.chunk.c.seq, t.chunk.c.chunk_id, t.chunk.c.title, t.chunk.c.heading)
        query = select(*columns).where(t.chunk.c.document_id == document.document_id, t.chunk.c.state == "live")
        there = {row.chunk_id: row for row in await connection.execute(query)}
        for chunk in kept:
            row = there[chunk.chunk_id]
            values = chunk_values(document, chunk, dense=self._is_dense(document, chunk))
            renamed = (row.title, row.heading) != (values["title"], values["heading"])
            if renamed:
                await self._lexical.remove(connection, [row.seq])
                values.pop("input_sha")  # its vectors were made under the old name and stay valid for this text
            await connection.execute(update(t.chunk).where(t.chunk.c.seq == row.seq).values(values))
            if renamed:
                await self._lexical.add(connection, [row.seq])

    async def _drop_chunks(self, connection: AsyncConnection, document_id: str, ids: Sequence[str] | None) -> None:
        query = select(t.chunk.c.seq, t.chunk.c.input_sha, t.chunk.c.state).where(t.chunk.c.document_id == document_id)
        rows: list[Any] = []
        if ids is None:
            rows.extend(await connection.execute(query))
        for part in batches(ids or ()):
            rows.extend(await connection.execute(query.where(t.chunk.c.chunk_id.in_(part))))
        for part in batches(rows):
            indexed = [row.seq for row in part if row.state == "live"]
            if indexed:
                await self._lexical.remove(connection, indexed)
            await connection.execute(delete(t.chunk).where(t.chunk.c.seq.in_([row.seq for row in part])))
        await self._cache.prune(connection, [row.input_sha for row in rows])

    async def _drop_pending(self, connection: AsyncConnection, document_id: str) -> set[str]:
        """What a run that was killed left half-done; its vectors may be in the index already."""
        mine = t.chunk.c.document_id == document_id, t.chunk.c.state == "pending"
        return set((await connection.execute(delete(t.chunk).where(*mine).returning(t.chunk.c.chunk_id))).scalars())

    async def _relabel(self, alias: Alias, ids: Sequence[str], aclset: int) -> None:
        for collection in alias.collections:
            await self._dense.relabel(collection, ids, aclset)

    def _is_dense(self, document: StoredDocument, chunk: Chunk) -> bool:
        return covers(self._embedder, chunk.language if chunk.language != "und" else document.language)


async def _document_row(connection: AsyncConnection, document_id: str) -> Any:
    row = (await connection.execute(select(t.document).where(t.document.c.document_id == document_id))).first()
    if row is None:
        raise NotFound(f"Document {document_id!r} is not in the record.")
    return row
