"""One search: dense and lexical candidates, fused, checked against the record, ordered by evidence, audited."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.contracts import Embedder, Filters, Hit
from knowledge.embed import Vocabulary, covers
from knowledge.embed.passages import Floats
from knowledge.index.alias import Alias, Aliases
from knowledge.index.dense import DenseIndex
from knowledge.index.lexical import LexicalIndex, LexicalScope
from knowledge.index.words import content_stems
from knowledge.judge import PassageJudge
from knowledge.retrieve.answerable import Passage, Question, answerable_at
from knowledge.retrieve.audit import Retrieval, RetrievalAudit
from knowledge.retrieve.candidates import Candidate, checked, documents_within
from knowledge.retrieve.fusion import best_of, fused, spread, varied
from knowledge.retrieve.language import language_of
from knowledge.retrieve.ranking import above, by_evidence, first_documents, probability, with_judgement
from knowledge.retrieve.rerank import RemoteReranker
from knowledge.retrieve.spelling import corrected
from knowledge.settings import RetrievalSettings
from knowledge.store.access import Groups, visible_sets
from knowledge.store.database import Database
from knowledge.store.vectors import VectorCache
from signalbox.errors import BudgetSpent, ToolFault, UpstreamDown
from signalbox.identity import Principal

_log = structlog.get_logger(__name__)
_READ_AT_ONCE = 6  # passages that are judged before it is asked whether one of them answers
_FITTED = 5  # passages that decide whether the corpus holds an answer, where none was judged
_PAGE, _DOCUMENTS = 8, 5  # among so many first passages so many documents have a say, where so many fit at all


@dataclass(frozen=True)
class Search:
    """What is asked, by whom."""

    principal: Principal
    queries: tuple[str, ...]
    filters: Filters = field(default_factory=Filters)
    limit: int = 6
    offset: int = 0
    run_id: str = ""


@dataclass(frozen=True)
class Found:
    """What came of it: hits best first, how answerable the question is (0.5 is the line), whether there are more."""

    hits: list[Hit] = field(default_factory=list)
    answerable: float = 0.0
    more: bool = False


@dataclass(frozen=True)
class Indexing:
    """What a search asks."""

    dense: DenseIndex
    lexical: LexicalIndex
    aliases: Aliases
    embedder: Embedder
    cache: VectorCache
    remote: RemoteReranker | None = None
    judge: PassageJudge | None = None


@dataclass
class _Run:
    """One query on its way."""

    text: str
    vector: Floats | None = None
    dense: dict[str, float] = field(default_factory=dict)
    lexical: dict[str, float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    judged: dict[str, float] = field(default_factory=dict)
    question: Question | None = None


class Retriever:
    """Finds passages. Holds no state between searches, so a revoked right is gone with the next one."""

    def __init__(
        self, database: Database, indexing: Indexing, settings: RetrievalSettings, audit: RetrievalAudit
    ) -> None:
        self._database = database
        self._indexing = indexing
        self._settings = settings
        self._audit = audit
        self._groups = Groups(settings.group_parents)

    async def search(self, search: Search) -> Found:
        """The best passages that the principal may see."""
        started = time.perf_counter()
        subjects = self._groups.subjects(search.principal)
        async with self._database.read() as connection:
            sets = await visible_sets(connection, search.principal.tenant, subjects)
            alias = await self._indexing.aliases.find(connection, search.principal.tenant)
            documents = await documents_within(connection, sets, search.filters) if sets else []
        if alias is None or not sets or documents == []:
            await self._note(search, subjects, alias, started, Found(), {}, [])
            return Found()
        scope = LexicalScope(sets, documents)
        runs = await asyncio.gather(*(self._candidates(query, alias, scope) for query in search.queries))
        names = {name for run in runs for name in (*run.dense, *run.lexical)}
        async with self._database.read() as connection:
            # Asked again, for rights may have gone while the indexes were busy.
            sets = await visible_sets(connection, search.principal.tenant, subjects)
            seen = await checked(connection, names, sets, search.filters)
            vectors = await self._indexing.cache.load(connection, {item.passage.sha for item in seen.values()})
        passages = {name: Passage(item, vectors.get(item.passage.sha)) for name, item in seen.items()}
        for run in runs:
            await self._rank(run, passages)
        scores = best_of([run.scores for run in runs])
        ordered = self._ordered(list(seen.values()), scores)
        answerable = self._answerable(runs, [passages[item.chunk.chunk_id] for item in ordered[:_FITTED]])
        page = ordered[search.offset : search.offset + search.limit]
        hits = [_hit(item, scores, runs) for item in page]
        found = Found(hits, answerable, len(ordered) > search.offset + search.limit)
        await self._note(search, subjects, alias, started, found, scores, sorted(names - seen.keys()))
        return found

    def _answerable(self, runs: Sequence[_Run], first: Sequence[Passage]) -> float:
        """By what was read where anything was, else by how well the first passages fit."""
        odds = [each for run in runs for each in run.judged.values()]
        if odds:
            return round(probability(max(odds) - self._settings.answerable_odds), 4)
        fits = [passage.answer_fit(run.question) for run in runs if run.question for passage in first]
        return answerable_at(max(fits), self._settings.answerable_fit) if fits else 0.0

    def _ordered(self, candidates: list[Candidate], scores: Mapping[str, float]) -> list[Candidate]:
        best = sorted(candidates, key=lambda item: (-scores[item.chunk.chunk_id], item.chunk.chunk_id))
        limit = self._settings.per_document
        return varied(spread(best, _document_of, limit), _document_of, _PAGE, _DOCUMENTS)

    async def _candidates(self, query: str, alias: Alias, scope: LexicalScope) -> _Run:
        language = language_of(query)
        meant = covers(self._indexing.embedder, language) and alias.embedder == self._indexing.embedder.name
        stems = language in {"en", "und"}
        run = _Run(await self._corrected(query) if stems else query)
        dense = self._dense(run, alias, scope) if meant else asyncio.sleep(0)
        await asyncio.gather(dense, self._lexical(run, scope, stems=stems))
        return run

    async def _corrected(self, query: str) -> str:
        vocabulary = self._indexing.embedder
        if not isinstance(vocabulary, Vocabulary):
            return query
        return await corrected(self._database, self._indexing.lexical, vocabulary, query)

    async def _dense(self, run: _Run, alias: Alias, scope: LexicalScope) -> None:
        """Meaning is a help, not a condition: whatever embedder or Chroma fail of, the words still answer."""
        limit = self._settings.candidates
        try:
            vector: Floats = (await self._indexing.embedder.embed([run.text]))[0]
            found = await self._indexing.dense.query(alias.current, vector, scope.sets, scope.documents, limit)
        except (UpstreamDown, BudgetSpent, ToolFault) as error:
            _log.warning("knowledge_dense_unavailable", code=error.code, error=str(error))
            return
        run.vector, run.dense = vector, dict(found)

    async def _lexical(self, run: _Run, scope: LexicalScope, *, stems: bool) -> None:
        narrowed = LexicalScope(scope.sets, scope.documents, stems=stems)
        await self._indexing.lexical.settle()
        async with self._database.read() as connection:
            found = await self._indexing.lexical.search(connection, run.text, narrowed, self._settings.candidates)
        run.lexical = dict(found)

    async def _rank(self, run: _Run, seen: Mapping[str, Passage]) -> None:
        lexical = {name: score for name, score in run.lexical.items() if name in seen}
        dense = {name: score for name, score in run.dense.items() if name in seen}
        if run.vector is not None:
            # What only the words found has a cosine too.
            known = {name: passage.vectors for name in lexical if (passage := seen[name]).vectors is not None}
            dense.update(
                {name: float(np.dot(run.vector, vectors.vector)) for name, vectors in known.items() if vectors}
            )
        run.dense = dense
        run.scores = fused(dense, lexical, self._settings.dense_weight)
        if not run.scores:
            return
        documents = first_documents(run.scores, seen, self._settings.rerank.documents)
        async with self._database.read() as connection:
            run.question = await self._question(connection, run)
            meanings = await self._indexing.cache.meanings(connection, documents)
        if not documents:
            return
        within = set(documents)
        looked_at = {name: seen[name] for name in run.scores if seen[name].document_id in within}
        run.scores = above(by_evidence(run.question, looked_at, lexical, meanings), run.scores)
        await self._read(run, seen)
        run.scores = await self._by_server(run, seen)

    async def _read(self, run: _Run, seen: Mapping[str, Passage]) -> None:
        """Read the first ones together with the question, a few at a time, until one answers or the judge is busy."""
        judge, limit = self._indexing.judge, self._settings.rerank.judged
        if judge is None or not limit or language_of(run.text) not in {*judge.languages, "und"}:
            return
        names = sorted(run.scores, key=lambda name: (-run.scores[name], name))[:limit]
        for start in range(0, len(names), _READ_AT_ONCE):
            part = names[start : start + _READ_AT_ONCE]
            try:
                found = await judge.judge(run.text, [seen[name].candidate.passage for name in part])
            except BudgetSpent as error:
                _log.warning("knowledge_judge_busy", error=str(error))
                break
            run.judged.update(zip(part, found, strict=True))
            if max(found) > self._settings.rerank.enough:
                break
        if run.judged:
            run.scores = with_judgement(run.scores, run.judged)

    async def _by_server(self, run: _Run, seen: Mapping[str, Passage]) -> dict[str, float]:
        """The scores with the first ones as the rerank server sees them, where there is one that answers."""
        if self._indexing.remote is None:
            return run.scores
        limit = self._settings.rerank.passages
        names = sorted(run.scores, key=lambda name: (-run.scores[name], name))[:limit]
        texts = [seen[name].candidate.passage.whole for name in names]
        judged = await self._indexing.remote.scores(run.text, texts)
        return run.scores if judged is None else above(dict(zip(names, judged, strict=True)), run.scores)

    async def _question(self, connection: AsyncConnection, run: _Run) -> Question:
        rows = await self._indexing.lexical.rows(connection)
        stems = dict.fromkeys(content_stems(run.text))
        frequencies = await self._indexing.lexical.frequencies(connection, list(stems)) if stems else {}
        return Question.of(run.text, run.vector, frequencies, rows)

    async def _note(
        self,
        search: Search,
        subjects: frozenset[str],
        alias: Alias | None,
        started: float,
        found: Found,
        scores: Mapping[str, float],
        denied: Sequence[str],
    ) -> None:
        await self._audit.write(
            Retrieval(
                run_id=search.run_id,
                tenant=search.principal.tenant,
                queries=search.queries,
                subjects=subjects,
                index_version=alias.current if alias else "",
                candidates=scores,
                returned=[hit.chunk.chunk_id for hit in found.hits],
                denied=denied,
                answerable=found.answerable,
                duration_ms=round((time.perf_counter() - started) * 1000, 2),
            )
        )


def _document_of(item: Candidate) -> str:
    return item.document.near_duplicate_of or item.document.document_id


def _hit(item: Candidate, scores: Mapping[str, float], runs: Sequence[_Run]) -> Hit:
    name = item.chunk.chunk_id
    signals = {
        "dense": max((run.dense[name] for run in runs if name in run.dense), default=0.0),
        "lexical": max((run.lexical[name] for run in runs if name in run.lexical), default=0.0),
    }
    judged = [run.judged[name] for run in runs if name in run.judged]
    if judged:
        signals["answers"] = probability(max(judged))
    return Hit(
        chunk=item.chunk, document=item.document, score=round(min(1.0, max(0.0, scores[name])), 4), signals=signals
    )
