import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from knowledge.contracts import AccessRule
from knowledge.embed.passages import PassageText
from knowledge.retrieve.answerable import Passage, Question
from knowledge.retrieve.candidates import Candidate
from knowledge.retrieve.ranking import above, by_evidence, first_documents
from knowledge.service import KnowledgeService
from knowledge.settings import RerankSettings, RetrievalSettings
from tests.knowledge.retrieval.helpers import ADA, CLARA, PAY, WordEmbedder, make_document


def _passages(*documents: tuple[str, list[str]]) -> dict[str, Passage]:
    found: dict[str, Passage] = {}
    for name, texts in documents:
        document, chunks, _ = make_document(name, texts)
        for number, chunk in enumerate(chunks):
            text = PassageText(title=document.title, heading="", body=chunk.text)
            found[f"{name}{number}"] = Passage(Candidate(chunk, document, text), None)
    return found


def _question(text: str) -> Question:
    return Question.of(text, None, {}, 100)


def test_a_document_whose_passages_fit_together_outweighs_one_with_a_single_fitting_passage() -> None:
    passages = _passages(
        ("one.md", ["The lamp is bright.", "Nothing of the kind.", "Nor here."]),
        ("whole.md", ["The lamp is bright.", "A bright lamp for rain.", "A lamp costs little."]),
    )
    scores = by_evidence(_question("bright lamp"), passages, {}, {})
    assert scores["whole.md0"] > scores["one.md0"] > scores["one.md1"]


def test_words_that_only_the_index_of_words_found_count_as_a_share_of_the_best() -> None:
    passages = _passages(("a.md", ["One."]), ("b.md", ["Two."]), ("c.md", ["Three."]))
    scores = by_evidence(_question("lamp"), passages, {"a.md0": 12.0, "b.md0": 6.0}, {})
    assert scores["a.md0"] - scores["c.md0"] == pytest.approx(2 * (scores["b.md0"] - scores["c.md0"]))


def test_a_document_that_points_where_the_question_points_comes_first() -> None:
    passages = _passages(("near.md", ["One."]), ("far.md", ["Two."]))
    document_of = {name: passage.document_id for name, passage in passages.items()}
    vector = np.array([1.0, 0.0], np.float32)
    meanings = {document_of["near.md0"]: vector, document_of["far.md0"]: np.array([0.0, 1.0], np.float32)}
    scores = by_evidence(Question.of("lamp", vector, {}, 100), passages, {}, meanings)
    assert scores["near.md0"] > scores["far.md0"]


def test_documents_are_taken_in_the_order_of_their_best_passages() -> None:
    passages = _passages(("a.md", ["One.", "Two."]), ("b.md", ["Three."]), ("c.md", ["Four."]))
    scores = {"a.md0": 0.1, "a.md1": 0.9, "b.md0": 0.2, "c.md0": 0.5}
    ids = {name[:4]: passage.document_id for name, passage in passages.items()}
    assert first_documents(scores, passages, 2) == [ids["a.md"], ids["c.md"]]
    assert first_documents(scores, passages, 0) == []


def test_what_was_looked_at_closely_stands_above_the_rest_in_its_own_order() -> None:
    scores = above({"a": 3.0, "b": 5.0}, {"a": 0.0, "b": 0.1, "c": 1.0, "d": 0.5})
    assert sorted(scores, key=lambda name: -scores[name])[:1] == ["b"]
    assert scores["b"] == 1
    assert scores["a"] >= scores["c"] > scores["d"]


def test_a_question_holds_what_a_text_says_in_any_form_of_its_words() -> None:
    question = _question("happy possibilities of organizing cafés")
    text = "We organize it. She is happy! A possible one. At the café."
    assert question.held(text) == set(question.weights)
    assert question.held("Something else entirely.") == set()


@dataclass
class _Judge:
    """A rerank server that prefers texts with one word, or fails."""

    favourite: str = ""
    status: int = 200
    seen: list[dict] = field(default_factory=list)
    url: str = ""

    def answer(self, asked: dict) -> bytes:
        self.seen.append(asked)
        texts = asked["documents"]
        scored = [{"index": at, "relevance_score": float(self.favourite in text)} for at, text in enumerate(texts)]
        return json.dumps({"results": list(reversed(scored))}).encode()


@pytest.fixture
def judge() -> Iterator[_Judge]:
    judge = _Judge()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = judge.answer({**asked, "authorization": self.headers.get("Authorization")})
            self.send_response(judge.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        judge.url = f"http://127.0.0.1:{server.server_port}/rerank"
        yield judge
        server.shutdown()
        thread.join()


@pytest.fixture
async def judged(tmp_path: Path, judge: _Judge) -> AsyncIterator[KnowledgeService]:
    rerank = RerankSettings.model_validate({"url": judge.url, "model": "judge", "api_key": "secret"})
    opened = await KnowledgeService.open(RetrievalSettings(rerank=rerank), tmp_path / "judged", WordEmbedder())
    await opened.store.put(*make_document("far.md", ["Parking rules of the annex, and the zebra."]))
    await opened.store.put(*make_document("near.md", ["Parental leave is twenty weeks of parental leave."]))
    await opened.store.put(*PAY)
    yield opened
    await opened.close()


async def test_a_rerank_server_decides_where_there_is_one(judged: KnowledgeService, judge: _Judge) -> None:
    judge.favourite = "zebra"
    found = await judged.search(ADA, ["parental leave"])
    assert [hit.document.document for hit in found.hits] == ["far.md", "near.md"]
    (asked,) = judge.seen
    assert (asked["model"], asked["query"], asked["authorization"]) == ("judge", "parental leave", "Bearer secret")


async def test_a_rerank_server_is_shown_only_what_the_asker_may_see(judged: KnowledgeService, judge: _Judge) -> None:
    await judged.search(ADA, ["chief executive euros"])
    await judged.search(CLARA, ["chief executive euros"])
    shown = [any("210,000" in text for text in asked["documents"]) for asked in judge.seen]
    assert PAY[0].access == AccessRule(allow=frozenset({"group:finance"}))
    assert shown == [False, True]


async def test_a_rerank_server_that_fails_leaves_the_order(judged: KnowledgeService, judge: _Judge) -> None:
    judge.favourite, judge.status = "zebra", 503
    found = await judged.search(ADA, ["parental leave"])
    assert [hit.document.document for hit in found.hits] == ["near.md", "far.md"]


async def test_of_two_equal_passages_that_comes_first_whose_document_is_about_the_question(tmp_path: Path) -> None:
    service = await KnowledgeService.open(RetrievalSettings(), tmp_path / "about", WordEmbedder())
    try:
        same = "Ask the desk before you start."
        await service.store.put(*make_document("x1.md", [same, "gardens need water", "gardens need shade"]))
        await service.store.put(*make_document("x2.md", [same, "lamps need bulbs", "lamps need wires"]))
        lamps = await service.search(ADA, ["lamps need bulbs, ask before you start"])
        gardens = await service.search(ADA, ["gardens need shade, ask before you start"])
    finally:
        await service.close()
    assert [hit.document.document for hit in lamps.hits if hit.chunk.text == same] == ["x2.md", "x1.md"]
    assert [hit.document.document for hit in gardens.hits if hit.chunk.text == same] == ["x1.md", "x2.md"]
