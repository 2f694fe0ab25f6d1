"""Words find the same passages in the same order, whichever database keeps the record."""

import asyncio
import random
import shutil
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


_TANTIVY = RetrievalSettings(words="tantivy")


def _settings(url: str) -> RetrievalSettings:
    return RetrievalSettings(database_url=SecretStr(url))


def _corpus() -> list[Parts]:
    chance = random.Random(5)
    passages = [[" ".join(chance.choices(_WORDS, k=chance.randint(4, 40))) for _ in range(3)] for _ in range(20)]
    return [make_document(f"{number}.md", texts, title="Notes") for number, texts in enumerate(passages)]


async def _ranked(
    service: KnowledgeService, query: str, *, stems: bool = True, documents: Sequence[str] | None = None
) -> list[tuple[str, float]]:
    await service._lexical.settle()
    async with service._database.read() as connection:
        return await service._lexical.search(connection, query, LexicalScope([1], documents, stems=stems), 100)


@pytest.fixture
async def all_three(tmp_path: Path, postgres_url: str):
    services = [
        await KnowledgeService.open(settings, tmp_path / str(number), WordEmbedder())
        for number, settings in enumerate((RetrievalSettings(), _settings(postgres_url), _TANTIVY))
    ]
    for service in services:
        for parts in _corpus():
            await service.store.put(*parts)
    yield services
    for service in services:
        await service.close()


@pytest.mark.timeout(60)
async def test_every_index_finds_the_same_and_both_databases_rank_alike(all_three: list[KnowledgeService]) -> None:
    for query in ("who paints the frames?", "welding torque", "naive groesse größe", "x-ray 2026", "nothing here"):
        sqlite, postgres, tantivy = [await _ranked(service, query) for service in all_three]
        scores = [[score for _, score in found[:20]] for found in (sqlite, postgres)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-6, abs=1e-6)
        assert {name for name, _ in sqlite} == {name for name, _ in postgres} == {name for name, _ in tantivy}
    documents = [parts[0].document_id for parts in _corpus()[:5]]
    told = []
    for service in all_three:
        only = {name for name, _ in await _ranked(service, "torque", documents=documents[:1])}
        async with service._database.read() as connection:
            stems = await service._lexical.frequencies(connection, ["frame", "paint", "weld", "absent"])
            told.append((stems, only, await service._lexical.rows(connection)))
    assert told[0] == told[1] == told[2]


async def test_counts_follow_every_change(service: KnowledgeService) -> None:
    corpus = _corpus()
    for parts in corpus:
        await service.store.put(*parts)
    for parts in corpus[::2]:
        await service.store.remove(parts[0].document_id)
    await service.store.put(*make_document("1.md", ["Only the rota is left."], title="Notes"))
    async with service._lexical.turn(), service._database.write() as connection:
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


async def test_a_collection_that_grew_or_shrank_changes_its_index_over(tmp_path: Path) -> None:
    corpus = _corpus()
    settings = RetrievalSettings(words_above=50)
    service = await KnowledgeService.open(settings, tmp_path, WordEmbedder())
    for parts in corpus[:15]:
        await service.store.put(*parts)
    await service.check()
    assert service._lexical.serving == "fts5"
    for parts in corpus[15:18]:
        await service.store.put(*parts)
    late = [service.store.put(*parts) for parts in corpus[18:]]
    await asyncio.gather(service.check(), *late)  # what comes while the other is built is in both
    assert service._lexical.serving == "tantivy"
    before = await _ranked(service, "who paints the frames?")
    await service.close()

    again = await KnowledgeService.open(settings, tmp_path, WordEmbedder())
    assert again._lexical.serving == "tantivy"
    assert await _ranked(again, "who paints the frames?") == before
    assert (await again.check()).green
    for parts in corpus[5:]:
        await again.store.remove(parts[0].document_id)
    await again.check()
    assert again._lexical.serving == "fts5"
    assert (await again.check()).green
    assert len(await _ranked(again, "torque weld frame paint")) > 0
    await again.close()


async def test_an_index_of_words_that_was_lost_or_lags_is_made_whole(tmp_path: Path) -> None:
    service = await KnowledgeService.open(_TANTIVY, tmp_path, WordEmbedder())
    for parts in _corpus():
        await service.store.put(*parts)
    before = await _ranked(service, "welding torque")
    await service.store.put(*make_document("late.md", ["A welding torque nobody has looked for."]))
    await service.close()  # the journal holds what was not settled
    again = await KnowledgeService.open(_TANTIVY, tmp_path, WordEmbedder())
    assert len(await _ranked(again, "welding torque nobody")) > 0
    assert (await again.check()).green
    await again.close()
    shutil.rmtree(tmp_path / "knowledge" / "words")
    lost = await KnowledgeService.open(_TANTIVY, tmp_path, WordEmbedder())
    await lost.settled()
    assert {name for name, _ in before} <= {name for name, _ in await _ranked(lost, "welding torque")}
    assert (await lost.check()).green
    await lost.close()
    for path in (tmp_path / "knowledge" / "words").glob("*"):
        path.write_bytes(b"damaged")
    damaged = await KnowledgeService.open(_TANTIVY, tmp_path, WordEmbedder())
    await damaged.settled()
    assert {name for name, _ in before} <= {name for name, _ in await _ranked(damaged, "welding torque")}
    await damaged.close()


async def test_a_check_that_makes_the_words_anew_and_searches_and_writes_beside_it_all_end(tmp_path: Path) -> None:
    service = await KnowledgeService.open(_TANTIVY, tmp_path, WordEmbedder())
    for parts in _corpus()[:3]:
        await service.store.put(*parts)
    await service.close()
    shutil.rmtree(tmp_path / "knowledge" / "words")
    again = await KnowledgeService.open(_TANTIVY, tmp_path, WordEmbedder())  # a start after damage, with an ingest

    async def use(number: int) -> None:
        await again.store.put(*make_document(f"late{number}.md", [f"A welding torque of {number}."]))
        await again.search(ADA, ["welding torque"])

    async with asyncio.timeout(7):
        await asyncio.gather(again.check(), again.check(), *map(use, range(8)))
    assert (await again.check()).green
    assert len(await _ranked(again, "welding torque")) >= 8
    await again.close()
