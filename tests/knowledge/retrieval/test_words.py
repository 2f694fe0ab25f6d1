"""Words find the same passages in the same order, whichever database keeps the record."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr

from knowledge.contracts import AccessRule
from knowledge.index.lexical import LexicalScope
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from tests.knowledge.retrieval.helpers import ADA, Parts, WordEmbedder, make_document

_WORDS = ["frame", "frames", "painted", "painting", "rota", "gearbox", "the", "a", "of", "weld", "welding"]
_WORDS += ["torque", "naïve", "Größe", "2026", "x-ray"]


def _corpus() -> list[Parts]:
    chance = random.Random(5)
    passages = [[" ".join(chance.choices(_WORDS, k=chance.randint(4, 40))) for _ in range(3)] for _ in range(20)]
    return [make_document(f"{number}.md", texts, title="Notes") for number, texts in enumerate(passages)]


async def _ranked(
    service: KnowledgeService, query: str, *, stems: bool = True, documents: Sequence[str] | None = None
) -> list[tuple[str, float]]:
    async with service._database.read() as connection:
        return await service._lexical.search(connection, query, LexicalScope([1], documents, stems=stems), 20)


@pytest.fixture
async def both(tmp_path: Path, postgres_url: str):
    services = [
        await KnowledgeService.open(RetrievalSettings(database_url=SecretStr(url)), tmp_path / name, WordEmbedder())
        for name, url in (("sqlite", ""), ("postgresql", postgres_url))
    ]
    for service in services:
        for parts in _corpus():
            await service.store.put(*parts)
    yield services
    for service in services:
        await service.close()


@pytest.mark.timeout(60)
async def test_both_databases_rank_alike(both: list[KnowledgeService]) -> None:
    for query in ("who paints the frames?", "welding torque", "naive groesse größe", "x-ray 2026", "nothing here"):
        sqlite, postgres = [await _ranked(service, query) for service in both]
        assert [score for _, score in sqlite] == pytest.approx([score for _, score in postgres], rel=1e-6, abs=1e-6)
        assert {name for name, _ in sqlite} == {name for name, _ in postgres} or len(sqlite) == 20
    counts = []
    for service in both:
        async with service._database.read() as connection:
            stems = await service._lexical.frequencies(connection, ["frame", "paint", "weld", "absent"])
            counts.append((stems, await service._lexical.rows(connection)))
    assert counts[0] == counts[1]
    documents = [parts[0].document_id for parts in _corpus()[:5]]
    spreads = []
    for service in both:
        async with service._database.read() as connection:
            spreads.append(await service._lexical.spread(connection, ["frames", "torque"], documents))
    assert spreads[0] == spreads[1]
    only = [await _ranked(service, "torque", documents=documents[:1]) for service in both]
    assert [name for name, _ in only[0]] == [name for name, _ in only[1]]


async def test_counts_follow_every_change(service: KnowledgeService) -> None:
    corpus = _corpus()
    for parts in corpus:
        await service.store.put(*parts)
    for parts in corpus[::2]:
        await service.store.remove(parts[0].document_id)
    await service.store.put(*make_document("1.md", ["Only the rota is left."], title="Notes"))
    async with service._database.write() as connection:
        assert await service._lexical.intact(connection)
        left = await service._lexical.frequencies(connection, ["rota", "torqu"])
        await service._lexical.rebuild(connection)
        assert await service._lexical.intact(connection)
        assert await service._lexical.frequencies(connection, ["rota", "torqu"]) == left


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Die Arbeitszeitverordnung gilt im Lackierbereich.", "Arbeitszeit im Lackierbereich"),
        ("塗装工場の当番表は毎週月曜日に公開されます。", "当番表はいつ公開されますか"),
        ("График покраски утверждается по понедельникам.", "график покраски"),
        ("El turno_de_noche empieza a las 22:00.", "turno_de_noche"),
    ],
)
async def test_other_languages_are_found_by_parts_of_words(service: KnowledgeService, text: str, question: str) -> None:
    await service.store.put(*make_document("other.md", [text], language="und"))
    await service.store.put(*make_document("more.md", ["Parental leave is 20 weeks."]))
    assert len(await _ranked(service, question, stems=False)) == 1


async def test_words_of_what_one_may_not_see_are_not_found(service: KnowledgeService) -> None:
    document, chunks, text = make_document("secret.md", ["The zebrafish budget."])
    await service.store.put(
        document.model_copy(update={"access": AccessRule(allow=frozenset({"user:eve"}))}), chunks, text
    )
    assert (await service.search(ADA, ["zebrafish budget"])).hits == []


async def test_a_text_with_characters_that_databases_dislike_is_kept(service: KnowledgeService) -> None:
    nasty = "It's 'quoted' \\ back\\slashed, 50 % of a:b & c | d ! (e) <-> f, \U0001f6b2 and \u200b zero width."
    await service.store.put(*make_document("nasty.md", [nasty, "x" * 3_000]))
    found = await service.search(ADA, ["quoted backslashed 50 % a:b & c | d ! 'e"])
    assert nasty in [hit.chunk.text for hit in found.hits]
