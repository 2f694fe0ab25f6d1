"""Whoever asks, whatever lags: nothing that the record forbids is ever shown."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge.contracts import AccessRule
from knowledge.index.alias import Aliases
from knowledge.index.dense import DenseIndex
from knowledge.index.lexical import LexicalIndex
from knowledge.index.lexical_postgres import PostgresLexicalIndex
from knowledge.index.lexical_sqlite import SqliteLexicalIndex
from knowledge.index.lexical_tantivy import TantivyLexicalIndex
from knowledge.ingest import Surroundings
from knowledge.retrieve.audit import RetrievalAudit
from knowledge.retrieve.retriever import Indexing, Retriever, Search
from knowledge.settings import ChromaSettings, RetrievalSettings
from knowledge.store import Indexes, KnowledgeStore
from knowledge.store.access import Groups, may_see
from knowledge.store.database import Database
from knowledge.store.vectors import VectorCache
from signalbox.database import open_engine, sqlite_url
from signalbox.identity import Principal
from tests.knowledge.retrieval.helpers import WordEmbedder, make_document

_PARENTS = {"smiths": ("plant",), "plant": ("company",), "company": ("plant",)}
_SUBJECTS = ["everyone", "user:ada", "user:bruno", "group:smiths", "group:plant", "group:company", "group:finance"]
_rules = st.builds(
    AccessRule,
    allow=st.frozensets(st.sampled_from(_SUBJECTS), max_size=3),
    deny=st.frozensets(st.sampled_from(_SUBJECTS), max_size=2),
)
_principals = st.builds(
    Principal,
    user=st.sampled_from(["ada", "bruno", "eve"]),
    groups=st.frozensets(st.sampled_from(["smiths", "plant", "company", "finance"]), max_size=3),
    tenant=st.sampled_from(["default", "default", "other"]),
)


class LaggingDense(DenseIndex):
    """Never hears of changed rights or of deletions."""

    async def relabel(self, collection: str, ids: object, aclset: int) -> None:
        pass

    async def delete(self, collection: str, ids: object) -> None:
        pass


def lexical_of(database: Database, folder: Path, words: str) -> LexicalIndex:
    return SqliteLexicalIndex() if words == "fts5" else TantivyLexicalIndex(folder / "words", database)


class World:
    """Store and retriever over an index that lags forever."""

    def __init__(self, folder: Path, url: str, words: str = "fts5") -> None:
        self.database = Database(open_engine(url or sqlite_url(folder / "record.db")))
        self.dense = LaggingDense(folder / "chroma", ChromaSettings())
        lexical = PostgresLexicalIndex() if url else lexical_of(self.database, folder, words)
        aliases, embedder = Aliases("main"), WordEmbedder()
        cache = VectorCache(self.database, embedder)
        self.store = KnowledgeStore(self.database, Indexes(self.dense, lexical, aliases), embedder, cache, region="")
        chosen = RetrievalSettings(group_parents=_PARENTS)
        self.audit = RetrievalAudit(self.database, keep_days=1)
        self.retriever = Retriever(
            self.database, Indexing(self.dense, lexical, aliases, embedder, cache), chosen, self.audit
        )
        self.rules: dict[str, AccessRule] = {}

    async def put(self, number: int, rule: AccessRule) -> None:
        name = f"{number}.md"
        document, chunks, text = make_document(name, [f"Rota {number} of the paint shop."])
        await self.store.put(document.model_copy(update={"access": rule}), chunks, text)
        self.rules[name] = rule

    async def relabel(self, number: int, rule: AccessRule) -> None:
        name = f"{number}.md"
        if name in self.rules:
            document = make_document(name, ["x"])[0]
            now = Surroundings(fingerprint="2", access=rule, document=name, uri=document.uri)
            await self.store.touch(document.document_id, now)
            self.rules[name] = rule

    async def remove(self, number: int) -> None:
        name = f"{number}.md"
        await self.store.remove(make_document(name, ["x"])[0].document_id)
        self.rules.pop(name, None)

    async def seen_by(self, principal: Principal) -> set[str]:
        found = await self.retriever.search(Search(principal, ("paint shop rota",), limit=20))
        return {hit.document.document for hit in found.hits}

    async def close(self) -> None:
        await self.dense.close()
        await self.database.close()


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 4), _rules),
        st.tuples(st.just("relabel"), st.integers(0, 4), _rules),
        st.tuples(st.just("remove"), st.integers(0, 4), _rules),
        st.tuples(st.just("ask"), _principals, st.none()),
    ),
    min_size=4,
    max_size=14,
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kept", ["fts5", "tantivy", "postgresql"])
def test_no_history_of_rights_leaks_through_an_index_that_lags(
    tmp_path: Path, kept: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if kept == "postgresql" else ""
    with asyncio.Runner() as runner:
        world = World(tmp_path, url, kept)
        runner.run(world.store.create())
        groups = Groups(_PARENTS)

        async def play(steps: list[tuple[str, object, object]]) -> None:
            for number in list(range(5)):
                await world.remove(number)
            for action, subject, rule in steps:
                if action != "ask":
                    await getattr(world, action)(subject, *([rule] if action != "remove" else []))
                    continue
                assert isinstance(subject, Principal)
                seen = await world.seen_by(subject)
                subjects = groups.subjects(subject)
                may = {name for name, rule in world.rules.items() if may_see(rule, subjects)}
                assert seen <= (may if subject.tenant == "default" else set()), "a leak"

        examples = 20 if kept == "fts5" else 10

        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(_steps)
        def run(steps: list[tuple[str, object, object]]) -> None:
            runner.run(play(steps))

        run()
        runner.run(world.close())


async def test_what_an_index_still_offers_is_recorded_as_denied(tmp_path: Path, record_url: str) -> None:
    world = World(tmp_path, record_url)
    await world.store.create()
    await world.put(1, AccessRule(allow=frozenset({"everyone"})))
    await world.put(2, AccessRule(allow=frozenset({"everyone"})))
    await world.remove(1)
    search = Search(Principal(user="ada"), ("paint shop rota",), run_id="run_1")
    found = await world.retriever.search(search)
    (entry,) = await world.audit.of_run("run_1")
    assert [hit.document.document for hit in found.hits] == ["2.md"]
    assert entry.denied == [make_document("1.md", ["Rota 1 of the paint shop."])[1][0].chunk_id]
    await world.close()


def test_nested_groups_count_as_memberships_and_cycles_end() -> None:
    subjects = Groups(_PARENTS).subjects(Principal(user="ada", groups=frozenset({"smiths"})))
    assert subjects == {"everyone", "user:ada", "group:smiths", "group:plant", "group:company"}


def test_a_deny_outweighs_any_allow() -> None:
    subjects = frozenset({"everyone", "user:ada", "group:staff"})
    assert may_see(AccessRule(allow=frozenset({"group:staff"})), subjects)
    assert not may_see(AccessRule(allow=frozenset({"everyone", "group:staff"}), deny=frozenset({"user:ada"})), subjects)
    assert not may_see(AccessRule(), subjects)
