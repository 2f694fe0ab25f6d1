"""The judge of passages, with the weights that are shipped, alone and in a search."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from knowledge.embed.passages import PassageText
from knowledge.judge import CrossEncoder
from knowledge.service import KnowledgeService, open_judge
from knowledge.settings import RerankSettings, RetrievalSettings
from signalbox.errors import BudgetSpent
from tests.knowledge.retrieval.helpers import ADA, WordEmbedder, make_document

LEAVE = PassageText("Leave", "Parental leave", "New parents may stay at home for twenty weeks on full pay.")
NOTICE = PassageText("Leave", "Parental leave", "Tell your manager about parental leave as early as you can.")
BIKES = PassageText("Bikes", "Loads", "The cargo bike carries eighty kilograms.")
REMOTE = PassageText(
    "Remote work",
    "Who may work remotely",
    "Office roles may work remotely up to 2 days a week, agreed with the manager. Production works on site.",
)
QUESTION = "How many weeks of parental leave do I get?"


async def test_the_passage_that_answers_stands_above_those_about_the_topic_and_those_about_others(models: Path) -> None:
    judge = CrossEncoder(models)
    leave, notice, bikes = await judge.judge(QUESTION, [LEAVE, NOTICE, BIKES])
    await judge.close()
    assert leave > 0 > max(notice, bikes)


@pytest.mark.parametrize(
    "who", ["Fatima", "Pieter", "Oluwaseun", "Svetlana", "Mr Okonkwo", "my colleague Yıldız", "somebody", "an employee"]
)
async def test_who_is_asked_about_does_not_decide(models: Path, who: str) -> None:
    judge = CrossEncoder(models)
    remote, bikes = await judge.judge(f"How many days a week may {who} work remotely?", [REMOTE, BIKES])
    await judge.close()
    assert remote > 0 > bikes


async def test_what_was_judged_is_remembered_and_what_is_new_is_read(models: Path) -> None:
    judge = CrossEncoder(models)
    first = await judge.judge(QUESTION, [LEAVE, BIKES])
    again = await judge.judge(QUESTION, [BIKES, NOTICE, LEAVE, BIKES])
    await judge.close()
    assert [again[2], again[0], again[3]] == [*first, first[1]]


async def test_a_passage_longer_than_its_reach_is_judged_by_its_beginning(models: Path) -> None:
    judge = CrossEncoder(models)
    noise = " The canteen opens at noon." * 100
    bodies = [LEAVE.body + noise, LEAVE.body + 2 * noise, noise + LEAVE.body, noise]
    ahead, longer, behind, without = await judge.judge(QUESTION, [PassageText("Leave", "", body) for body in bodies])
    await judge.close()
    assert ahead == longer > without == behind


async def test_a_full_queue_says_when_to_come_back(models: Path) -> None:
    judge = CrossEncoder(models, queue_texts=1)
    reading, refused = await asyncio.gather(
        judge.judge(QUESTION, [LEAVE, BIKES]), judge.judge("Who pays?", [NOTICE]), return_exceptions=True
    )
    after = await judge.judge("Who pays?", [NOTICE])
    await judge.close()
    assert isinstance(reading, list)
    assert len(reading) == 2
    assert isinstance(refused, BudgetSpent)
    assert refused.retry_after_s == 5
    assert len(after) == 1


PARKING = ["Parking is behind the hall.", "Parking costs five euros a day.", "Parking permits are blue."]


class Judge:
    """Says of every passage how many times it holds a word; notes what it was asked."""

    languages = frozenset({"en"})

    def __init__(self, word: str, *, busy: bool = False) -> None:
        self.word = word
        self.busy = busy
        self.asked: list[tuple[str, int]] = []

    async def judge(self, question: str, passages: Sequence[PassageText]) -> list[float]:
        self.asked.append((question, len(passages)))
        if self.busy:
            raise BudgetSpent("The judge's queue is full.")
        return [4.0 * passage.body.count(self.word) - 2.0 for passage in passages]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def serving(
    folder: Path, judge: Judge, judged: int = 8, texts: Sequence[str] = PARKING
) -> AsyncIterator[KnowledgeService]:
    settings = RetrievalSettings(rerank=RerankSettings(judged=judged))
    service = await KnowledgeService.open(settings, folder, WordEmbedder(), judge)
    await service.settled()
    judge.asked.clear()
    for number, text in enumerate(texts):
        await service.store.put(*make_document(f"parking{number}.md", [text]))
    yield service
    await service.close()


async def test_what_a_judge_holds_for_an_answer_moves_up_and_says_how_likely_it_is(tmp_path: Path) -> None:
    async with serving(tmp_path, Judge("blue")) as service:
        found = await service.search(ADA, ["parking permits colour"])
        plain = await service.search(ADA, ["parking"])
    assert found.hits[0].chunk.text == "Parking permits are blue."
    assert plain.hits[0].chunk.text == "Parking permits are blue."
    said = {hit.chunk.text: hit.signals["answers"] for hit in found.hits}
    assert said["Parking permits are blue."] == pytest.approx(0.881, abs=0.001)
    assert said["Parking is behind the hall."] == pytest.approx(0.119, abs=0.001)
    assert found.answerable > 0.5


async def test_only_the_first_ones_are_judged(tmp_path: Path) -> None:
    judge = Judge("blue")
    async with serving(tmp_path, judge, judged=2) as service:
        found = await service.search(ADA, ["parking"])
    assert judge.asked == [("parking", 2)]
    assert sum("answers" in hit.signals for hit in found.hits) == 2


async def test_reading_goes_on_until_a_passage_answers(tmp_path: Path) -> None:
    texts = [f"Parking space {number} is free." for number in range(10)]
    silent, first = Judge("blue"), Judge("Parking")
    async with serving(tmp_path / "none", silent, 8, texts) as service:
        found = await service.search(ADA, ["parking"], limit=10)
        assert sum("answers" in hit.signals for hit in found.hits) == 8
    async with serving(tmp_path / "first", first, 8, texts) as service:
        await service.search(ADA, ["parking"], limit=10)
    assert silent.asked == [("parking", 6), ("parking", 2)]
    assert first.asked == [("parking", 6)]


async def test_a_busy_judge_and_a_language_that_it_does_not_read_are_gone_without(tmp_path: Path) -> None:
    async with serving(tmp_path / "busy", Judge("blue", busy=True)) as service:
        found = await service.search(ADA, ["parking"])
        assert len(found.hits) == 3
        assert not any("answers" in hit.signals for hit in found.hits)
    judge = Judge("blue")
    async with serving(tmp_path / "german", judge) as service:
        await service.search(ADA, ["Wo kann ich mein Auto in der Nähe der Halle abstellen, und was kostet das?"])
    assert judge.asked == []


async def test_there_is_no_judge_where_a_server_judges_or_nobody_is_to_or_its_model_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = open_judge(RetrievalSettings(), tmp_path)
    assert isinstance(local, CrossEncoder)
    await local.close()
    assert open_judge(RetrievalSettings(rerank=RerankSettings(judged=0)), tmp_path) is None
    assert open_judge(RetrievalSettings(rerank=RerankSettings(url="http://127.0.0.1:1/rerank")), tmp_path) is None
    monkeypatch.setattr("knowledge.embed.model.PACKAGE", "not_installed_here")
    assert open_judge(RetrievalSettings(), tmp_path) is None
