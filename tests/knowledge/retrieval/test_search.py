from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, update

from knowledge.contracts import Filters
from knowledge.languages import language_of
from knowledge.retrieve.fusion import best_of, fused, spread, varied
from knowledge.schema import chunk, document
from knowledge.service import KnowledgeService
from signalbox.errors import NotFound
from tests.knowledge.retrieval.helpers import ADA, BIKES, CLARA, LEAVE, PAY, make_document


@pytest.fixture
async def filled(service: KnowledgeService) -> KnowledgeService:
    for parts in (LEAVE, PAY, BIKES):
        await service.store.put(*parts)
    return service


def _documents(found) -> list[str]:
    return [hit.document.document for hit in found.hits]


async def test_the_best_passage_comes_first_with_a_score_of_one(filled: KnowledgeService) -> None:
    found = await filled.search(ADA, ["How many kilograms does the Albatross carry?"])
    assert found.hits[0].chunk.text.startswith("The Albatross")
    assert found.hits[0].score == 1
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)


async def test_a_forbidden_document_is_neither_found_nor_counted(filled: KnowledgeService) -> None:
    question = ["What does the chief executive earn in euros a year?"]
    forbidden, allowed = await filled.search(ADA, question), await filled.search(CLARA, question)
    assert "pay.md" not in _documents(forbidden)
    assert _documents(allowed)[0] == "pay.md"
    assert forbidden.answerable < 0.5 < allowed.answerable
    with pytest.raises(NotFound):
        await filled.read(ADA, PAY[0].document_id)
    with pytest.raises(NotFound):
        await filled.passage(ADA, PAY[1][0].chunk_id)
    with pytest.raises(NotFound):
        await filled.resolve(ADA, "pay.md")
    assert await filled.passages(ADA, PAY[0].document_id, 0, 1000) == []


async def test_filters_narrow(filled: KnowledgeService) -> None:
    day = datetime(2026, 5, 1, tzinfo=UTC)
    await filled.store.put(
        *make_document("new.md", ["Leave news."], modified=day, authors=("Mia Claes",), source="wiki")
    )

    async def names(**fields: object) -> set[str]:
        return set(_documents(await filled.search(CLARA, ["leave"], Filters.model_validate(fields), limit=20)))

    assert await names(sources=("wiki",)) == {"new.md"}
    assert await names(tags=("people",)) == {"leave.md"}
    assert await names(authors=("mia claes",)) == {"new.md"}
    assert await names(documents=("pay.md", BIKES[0].document_id)) == {"pay.md", "bikes.md"}
    assert await names(modified_after=datetime(2026, 4, 30, tzinfo=UTC)) == {"new.md"}
    assert await names(modified_before=datetime(2026, 4, 30, tzinfo=UTC)) == set()
    assert await names(media_types=("application/pdf",)) == set()


@pytest.mark.timeout(60)
async def test_a_filter_holds_however_many_documents_it_leaves(filled: KnowledgeService) -> None:
    await filled.store.put(*make_document("new.md", ["Leave news."], source="wiki"))
    async with filled._database.write() as connection:
        like = (await connection.execute(select(document).where(document.c.document == "new.md"))).mappings().one()
        many = [{**like, "document_id": f"{number:032x}", "document": f"{number}.md"} for number in range(33_000)]
        await connection.execute(insert(document), many)
    found = await filled.search(CLARA, ["parental leave weeks"], Filters(sources=("wiki",)), limit=20)
    assert _documents(found) == ["new.md"]
    assert found.hits[0].signals["dense"] > 0
    assert found.hits[0].signals["lexical"] > 0


async def test_several_wordings_are_merged(filled: KnowledgeService) -> None:
    found = await filled.search(ADA, ["parental leave weeks", "Heron kilograms"], limit=2)
    assert set(_documents(found)) == {"leave.md", "bikes.md"}


async def test_pages_neither_overlap_nor_end_early(service: KnowledgeService) -> None:
    for number in range(12):
        await service.store.put(*make_document(f"{number:02}.md", [f"Bike service in city {number}."]))
    seen: list[str] = []
    for offset in range(0, 12, 5):
        page = await service.search(ADA, ["bike service"], limit=5, offset=offset)
        seen += _documents(page)
        assert page.more == (offset < 10)
    assert sorted(seen) == [f"{number:02}.md" for number in range(12)]


async def test_one_document_does_not_crowd_out_the_rest(service: KnowledgeService) -> None:
    await service.store.put(*make_document("long.md", [f"Battery care rule {number}." for number in range(8)]))
    await service.store.put(*make_document("other.md", ["Battery care in winter takes a warm room and some patience."]))
    found = await service.search(ADA, ["battery care rule"], limit=5)
    assert "other.md" in _documents(found)[:5]


async def test_the_first_passages_come_from_several_documents_where_several_fit(service: KnowledgeService) -> None:
    for number in range(3):
        texts = [f"Battery care rule {number}{part}." for part in range(4)]
        await service.store.put(*make_document(f"rules{number}.md", texts))
    for number in range(2):
        await service.store.put(*make_document(f"care{number}.md", [f"On care of a battery in winter {number}."]))
    found = await service.search(ADA, ["battery care rule"], limit=8)
    assert len(set(_documents(found))) == 5


async def test_neighbours_and_windows_read_on(filled: KnowledgeService) -> None:
    first, second = LEAVE[1]
    near = await filled.passage(ADA, second.chunk_id[:8], around=1)
    assert [item.chunk.chunk_id for item in near] == [first.chunk_id, second.chunk_id]
    window = await filled.read(ADA, LEAVE[0].document_id, start=9, length=5)
    assert (window.text, window.start, window.end, window.length) == ("leave", 9, 14, len(LEAVE[2]))


async def test_every_search_is_audited_without_its_words(filled: KnowledgeService) -> None:
    found = await filled.search(ADA, ["parental leave"], run_id="run_1")
    await filled.search(ADA, ["bikes"], run_id="run_2")
    (entry,) = await filled.audit("run_1")
    assert entry.returned == [hit.chunk.chunk_id for hit in found.hits]
    assert entry.denied == []
    assert entry.answerable == found.answerable
    assert "parental" not in repr(entry)
    assert "ada" not in repr(entry)


async def test_nobody_sees_nothing_and_it_is_audited(filled: KnowledgeService) -> None:
    stranger = ADA.model_copy(update={"tenant": "other"})
    found = await filled.search(stranger, ["parental leave"], run_id="run_3")
    assert (found.hits, found.answerable, found.more) == ([], 0.0, False)
    assert [entry.candidates for entry in await filled.audit("run_3")] == [[]]


async def test_a_document_without_readers_is_hidden_from_all(service: KnowledgeService) -> None:
    await service.store.put(*make_document("orphan.md", ["Parental leave rules."], allow=()))
    assert (await service.search(ADA, ["parental leave"])).hits == []


async def test_german_is_served_by_words_alone(minilm: KnowledgeService) -> None:
    german = make_document(
        "urlaub.md",
        ["Die Elternzeit dauert zwanzig Wochen und wird voll bezahlt.", "Der Betriebsurlaub ist im August."],
        language="de",
    )
    await minilm.store.put(*german)
    await minilm.store.put(*LEAVE)
    assert language_of("Wie lange dauert die Elternzeit?") == "de"
    found = await minilm.search(ADA, ["Wie lange dauert die Elternzeit?"])
    assert found.hits[0].chunk.text.startswith("Die Elternzeit")
    assert found.hits[0].signals["dense"] == 0
    assert (await minilm.check()).green


async def test_an_english_question_is_answered_by_meaning(minilm: KnowledgeService) -> None:
    for parts in (LEAVE, BIKES):
        await minilm.store.put(*parts)
    found = await minilm.search(ADA, ["How much can I load on the bicycle?"])
    assert _documents(found)[0] == "bikes.md"


async def test_marks_and_operators_in_a_question_are_only_words(filled: KnowledgeService) -> None:
    for query in (
        '"',
        "AND OR NOT",
        "leave*",
        "title:leave",
        "(",
        "NEAR(a b)",
        "'; DROP TABLE x; --",
        "\x00",
        "%",
        "🚲",
    ):
        await filled.search(ADA, [query])
    assert (await filled.search(ADA, ["leave"])).hits


def test_fusion_stands_on_one_leg_where_the_other_is_missing() -> None:
    assert fused({"a": 0.9, "b": 0.1}, {}, 0.65) == {"a": 1.0, "b": 0.0}
    assert fused({}, {"a": 3.0}, 0.65) == {"a": 1.0}
    assert fused({"a": 0.9, "b": 0.1}, {"b": 5.0, "c": 1.0}, 0.5) == {"a": 0.5, "b": 0.5, "c": 0.0}
    assert best_of([{"a": 0.2}, {"a": 0.7, "b": 0.1}]) == {"a": 0.7, "b": 0.1}


def test_spread_moves_surplus_to_the_end_and_loses_nothing() -> None:
    assert spread(["a1", "a2", "a3", "b1", "a4"], lambda item: item[0], 2) == ["a1", "a2", "b1", "a3", "a4"]


def test_the_first_page_makes_room_for_other_documents_and_loses_nothing() -> None:
    def document(item: str) -> str:
        return item[0]

    assert varied(["a1", "a2", "b1", "a3", "c1", "d1"], document, 4, 3) == ["a1", "a2", "b1", "c1", "a3", "d1"]
    assert varied(["a1", "b1", "a2", "b2", "c1", "d1"], document, 4, 4) == ["a1", "b1", "c1", "d1", "a2", "b2"]
    assert varied(["a1", "a2", "a3"], document, 2, 2) == ["a1", "a2", "a3"]
    assert varied(["a1", "b1", "c1"], document, 2, 5) == ["a1", "b1", "c1"]


async def test_reading_a_window_is_not_disturbed_by_what_lies_outside_of_it(service: KnowledgeService) -> None:
    texts = [f"Paragraph {number} about façades and 🚲." for number in range(40)]
    stored, chunks, text = make_document("long.md", texts)
    await service.store.put(stored, chunks, text)
    async with service._database.write() as connection:  # so that whoever loads a passage from afar notices
        far = ~chunk.c.ordinal.between(19, 21)
        broken = {"chunk_id": "?", "start": 0, "end": 0}
        await connection.execute(update(chunk).where(far).values(record=broken))
    start = chunks[20].start
    window = await service.read(ADA, stored.document_id, start=start, length=10)
    assert (window.text, window.start, window.end) == (text[start : start + 10], start, start + 10)
    assert window.length == len(text)
    near = await service.passages(ADA, stored.document_id, start - 3, start + 1)
    assert [item.chunk.ordinal for item in near] == [19, 20]
    beyond = await service.read(ADA, stored.document_id, start=10**30)
    assert (beyond.text, beyond.start, beyond.end) == ("", len(text), len(text))
