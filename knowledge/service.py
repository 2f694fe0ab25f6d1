"""The knowledge layer as one object: the record, both indexes, retrieval, reading, audit and upkeep."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from knowledge.contracts import Filters, StoredDocument
from knowledge.embed import ServiceEmbedder, open_embedder
from knowledge.embed.model import package_folder
from knowledge.embed.passages import PassageText
from knowledge.index.alias import Alias, Aliases
from knowledge.index.dense import DenseIndex
from knowledge.index.integrity import IntegrityJob, IntegrityReport
from knowledge.index.lexical_postgres import PostgresLexicalIndex
from knowledge.index.lexical_switch import SwitchedLexicalIndex
from knowledge.index.rebuild import IndexBuilder
from knowledge.judge import CrossEncoder, PassageJudge
from knowledge.retrieve.audit import AuditEntry, RetrievalAudit
from knowledge.retrieve.candidates import Candidate
from knowledge.retrieve.chain import ChainCheck
from knowledge.retrieve.reader import Reader, SourceSummary, Window
from knowledge.retrieve.rerank import HttpReranker
from knowledge.retrieve.retriever import Found, Indexing, Retriever, Search
from knowledge.settings import RetrievalSettings
from knowledge.store import Indexes, KnowledgeStore
from knowledge.store.access import Groups
from knowledge.store.database import Database
from knowledge.store.vectors import VectorCache
from knowledge.upkeep import Part, Upkeep
from signalbox.database import open_engine, sqlite_url
from signalbox.errors import ToolFault
from signalbox.identity import Principal

_log = structlog.get_logger(__name__)


def record_url(settings: RetrievalSettings, data_dir: Path) -> str:
    """The address of the record's database."""
    given = settings.database_url.get_secret_value() if settings.database_url else ""
    return given or sqlite_url(data_dir / "knowledge" / "record.db")


def open_judge(settings: RetrievalSettings, data_dir: Path) -> CrossEncoder | None:
    """The local judge, unless a server judges, nobody is to, or its model is not installed, as beside another embedder.

    Nothing is loaded before the first passage.
    """
    if not settings.rerank.judged or settings.rerank.url:
        return None
    try:
        package_folder()
    except ToolFault as fault:
        _log.info("knowledge_judge_left_out", reason=str(fault), hint=fault.hint)
        return None
    return CrossEncoder(data_dir / "models", threads=settings.embedding.threads)


def _words_beside(database: Database, folder: Path, settings: RetrievalSettings) -> SwitchedLexicalIndex | None:
    """The index of words of a SQLite record; PostgreSQL has its own."""
    if database.dialect != "sqlite":
        return None
    return SwitchedLexicalIndex(database, folder / "words", settings.words, settings.words_above)


class KnowledgeService:
    """Built from settings; opens what it needs when it is first needed. Close it: the index is locked until then."""

    def __init__(
        self,
        settings: RetrievalSettings,
        data_dir: Path,
        embedder: ServiceEmbedder | None = None,
        judge: PassageJudge | None = None,
    ) -> None:
        folder = data_dir / "knowledge"
        self._settings = settings
        self._database = Database(open_engine(record_url(settings, data_dir)))
        self._embedder = embedder or open_embedder(settings.embedding, data_dir)
        self._cache = VectorCache(self._database, self._embedder)
        self._dense = DenseIndex(folder / "chroma", settings.chroma)
        self._words = _words_beside(self._database, folder, settings)
        self._lexical = self._words or PostgresLexicalIndex()
        self._aliases = Aliases(settings.region or "main")
        self._remote = HttpReranker(settings.rerank) if settings.rerank.url else None
        self._judge = judge or (None if embedder else open_judge(settings, data_dir))
        self._audit = RetrievalAudit(self._database, keep_days=settings.audit_days)
        indexes = Indexes(self._dense, self._lexical, self._aliases)
        self._store = KnowledgeStore(self._database, indexes, self._embedder, self._cache, region=settings.region)
        indexing = Indexing(
            self._dense, self._lexical, self._aliases, self._embedder, self._cache, self._remote, self._judge
        )
        self._retriever = Retriever(self._database, indexing, settings, self._audit)
        self._reader = Reader(self._database, Groups(settings.group_parents))
        self._integrity = IntegrityJob(self._database, self._dense, self._lexical, self._aliases, self._cache)
        self._builder = IndexBuilder(self._database, self._dense, self._aliases, self._integrity, self._embedder)
        self._started = asyncio.Event()
        self._turn = asyncio.Lock()  # one check, rebuild or way back at a time
        self._upkeep = Upkeep(self._parts(), every_s=settings.upkeep_every_s)

    @classmethod
    async def open(
        cls,
        settings: RetrievalSettings,
        data_dir: Path,
        embedder: ServiceEmbedder | None = None,
        judge: PassageJudge | None = None,
    ) -> "KnowledgeService":
        """A service that is ready; heavy parts load behind. `UserFault` when another process has the index.

        Models that are given take the place of those that the settings name.
        """
        service = cls(settings, data_dir, embedder, judge)
        try:
            await service.start()
        except BaseException:
            await service.close()
            raise
        return service

    def claim(self) -> None:
        """Claim the embedded index for this process; doing so again is fine."""
        self._dense.lock()

    async def start(self) -> None:
        """Claim the index, make missing tables, begin to warm up."""
        self.claim()
        await self._store.create()
        await self._audit.create()
        self._started.set()
        self._upkeep.start()

    @property
    def store(self) -> KnowledgeStore:
        """Where ingest writes."""
        return self._store

    async def search(
        self,
        principal: Principal,
        queries: Sequence[str],
        filters: Filters | None = None,
        *,
        limit: int = 6,
        offset: int = 0,
        run_id: str = "",
    ) -> Found:
        """The best passages that the principal may see, for one question or several about one thing."""
        await self._started.wait()
        search = Search(principal, tuple(queries), filters or Filters(), limit, offset, run_id)
        found = await self._retriever.search(search)
        verbatim = await self._reader.verbatim([hit.chunk for hit in found.hits])
        if len(verbatim) < len(found.hits):
            _log.error(
                "knowledge_quote_differs",
                chunks=[h.chunk.chunk_id for h in found.hits if h.chunk.chunk_id not in verbatim],
            )
        return replace(found, hits=[hit for hit in found.hits if hit.chunk.chunk_id in verbatim])

    async def read(self, principal: Principal, document_id: str, *, start: int = 0, length: int = 4_000) -> Window:
        """A window of a document's text."""
        await self._started.wait()
        return await self._reader.window(principal, document_id, start, length)

    async def document(self, principal: Principal, document_id: str) -> StoredDocument:
        """A document's description."""
        await self._started.wait()
        return await self._reader.document(principal, document_id)

    async def passage(self, principal: Principal, chunk_id: str, *, around: int = 0) -> list[Candidate]:
        """A passage and its neighbours; its reference (the first 8 characters) names it as well."""
        await self._started.wait()
        return await self._reader.passage(principal, chunk_id, around)

    async def passages(self, principal: Principal, document_id: str, start: int, end: int) -> list[Candidate]:
        """The passages of a document that touch a range of its text, in order."""
        await self._started.wait()
        return await self._reader.passages(principal, document_id, start, end)

    async def resolve(self, principal: Principal, name: str) -> str:
        """The id of a document given by id or path."""
        await self._started.wait()
        return await self._reader.resolve(principal, name)

    async def sources(self, principal: Principal) -> list[SourceSummary]:
        """What there is, as this principal sees it."""
        await self._started.wait()
        return await self._reader.sources(principal)

    async def documents(
        self, principal: Principal, source: str = "", *, limit: int = 100, after: tuple[str, str] = ("", "")
    ) -> list[StoredDocument]:
        """Documents by path and id, those after `after`; two sources may have documents of one path."""
        await self._started.wait()
        return await self._reader.documents(principal, source, limit, after)

    async def audit(self, run_id: str) -> list[AuditEntry]:
        """The retrievals of one run."""
        await self._started.wait()
        return await self._audit.of_run(run_id)

    async def verify_audit(self) -> ChainCheck:
        """Prove that nothing in the record of retrievals was altered, removed or slipped in."""
        await self._started.wait()
        return await self._audit.verify()

    async def check(self, *, self_queries: int | None = None) -> IntegrityReport:
        """Compare the indexes with the record and mend them; words move to the index that suits their number."""
        await self._started.wait()
        rebuilt = await self._check_words()
        return replace(await self._check_vectors(self_queries), words_rebuilt=rebuilt)

    async def rebuild(self, tenant: str = "default") -> Alias:
        """Build the dense index anew beside the old one and switch to it."""
        await self._started.wait()
        async with self._turn:
            return await self._builder.rebuild(tenant)

    async def index(self, tenant: str = "default") -> Alias:
        """Which dense index serves a tenant; `NotFound` where it has none."""
        await self._started.wait()
        return await self._builder.known(tenant)

    async def way_back(self, tenant: str = "default") -> Alias:
        """The same, where `roll_back` would work; raises what it would raise."""
        await self._started.wait()
        return await self._builder.way_back(tenant)

    async def roll_back(self, tenant: str = "default") -> Alias:
        """Serve from the dense index before the last switch; `Conflict` where there is none."""
        await self._started.wait()
        async with self._turn:
            return await self._builder.roll_back(tenant)

    async def settled(self) -> None:
        """Wait until what began at start (loading, checking, rebuilding) is done, or has failed once."""
        await self._upkeep.settled()

    async def close(self) -> None:
        """Stop upkeep, flush and give the index back."""
        await self._upkeep.stop()
        await self._dense.close()
        if self._words is not None:
            await self._words.close()
        await self._embedder.close()
        if self._judge is not None:
            await self._judge.close()
        if self._remote is not None:
            await self._remote.close()
        await self._database.close()

    def _parts(self) -> list[Part]:
        """Words before vectors, checks before a rebuild: those that change an index take turns in this order."""
        return [
            Part("open_vectors", self._dense.open, recurs=False),
            Part("warm_embedder", self._warm_embedder, recurs=False),
            Part("warm_judge", self._warm_judge, recurs=False),
            Part("words", self._check_words),
            Part("vectors", self._check_vectors),
            Part("embedder", self._renew),
            Part("audit", self._audit.prune),
        ]

    async def _warm_embedder(self) -> None:
        await self._embedder.embed(["warm up"])

    async def _warm_judge(self) -> None:
        if self._judge is not None:
            await self._judge.judge("Who warms up?", [PassageText("", "", "Everybody.")])

    async def _check_words(self) -> bool:
        async with self._turn:
            rebuilt = await self._integrity.words()
            if self._words is not None:
                await self._words.adapt()
            return rebuilt

    async def _check_vectors(self, self_queries: int | None = None) -> IntegrityReport:
        async with self._turn:
            return await self._integrity.vectors(
                self_queries=self._settings.self_queries if self_queries is None else self_queries
            )

    async def _renew(self) -> None:
        async with self._turn:
            await self._builder.renew()
