"""The embedder or the record fails, the documents are fine: nothing that was there is lost, the next run completes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import httpx2
import numpy as np
import pytest
import samples
from memory_record import MemoryRecord

from knowledge.contracts import Chunk, SourceItem, StoredDocument
from knowledge.embed import OpenAIEmbedder
from knowledge.ingest import IngestPipeline, IngestReport
from knowledge.ingest.contracts import OnStep
from knowledge.parse.pool import Parsed, ParserPool
from knowledge.service import KnowledgeService
from knowledge.settings import IngestSettings, ParseSettings, RetrievalSettings
from knowledge.sources import FolderSource
from signalbox.errors import ToolFault
from signalbox.identity import Principal
from tests.knowledge.retrieval.helpers import make_document

ADA = Principal(user="ada")
CLARA = Principal(user="clara", groups=frozenset({"finance"}))
Answer = Callable[[list[str]], httpx2.Response]


def vectors(texts: list[str], width: int = 8) -> httpx2.Response:
    rows = np.random.default_rng(0).normal(size=(len(texts), width)).tolist()
    return httpx2.Response(200, json={"data": [{"index": at, "embedding": row} for at, row in enumerate(rows)]})


class Server:
    """An embedding server that can be told to answer otherwise."""

    def __init__(self) -> None:
        self.answer: Answer = vectors

    def embedder(self) -> OpenAIEmbedder:
        transport = httpx2.MockTransport(self._reply)
        client = httpx2.AsyncClient(transport=transport, base_url="http://model.test/v1/")
        return OpenAIEmbedder(client, model="m", dimensions=8)

    def _reply(self, request: httpx2.Request) -> httpx2.Response:
        return self.answer(json.loads(request.content)["input"])


class CountingPool(ParserPool):
    """Passes files on, and remembers which."""

    def __init__(self, pool: ParserPool) -> None:
        super().__init__()
        self._pool = pool
        self.asked: list[str] = []

    async def parse(self, name: str, data: bytes) -> Parsed:
        self.asked.append(name)
        return await self._pool.parse(name, data)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def service(tmp_path: Path, server: Server) -> AsyncIterator[KnowledgeService]:
    opened = await KnowledgeService.open(RetrievalSettings(), tmp_path / "data", server.embedder())
    yield opened
    await opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("hours", "holidays"):
        (docs / f"{name}.md").write_text(f"# {name}\n\nThe first version of {name}.\n")
    return docs


async def texts_of(service: KnowledgeService) -> list[str]:
    documents = await service.documents(ADA)
    return [(await service.read(ADA, document.document_id)).text for document in documents]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(lambda _: httpx2.Response(401, text="expired"), "refused model 'm': expired", id="expired key"),
        pytest.param(lambda _: httpx2.Response(404, text="no model"), "refused model 'm': no model", id="no model"),
        pytest.param(lambda texts: vectors(texts, 7), "vectors of shape", id="other width"),
        pytest.param(lambda _: httpx2.Response(200, text="<html>"), "sends no vectors", id="a web page"),
    ],
)
async def test_an_embedder_that_refuses_ends_the_run_and_every_document_stays(
    service: KnowledgeService, server: Server, folder: Path, parser: ParserPool, answer: Answer, reason: str
) -> None:
    async def ingest(max_tokens: int) -> IngestReport:
        settings = IngestSettings.model_validate({"chunk": {"max_tokens": max_tokens}})
        return await IngestPipeline(service.store, parser, settings).run(FolderSource(folder, name="docs"))

    await ingest(256)
    before = await texts_of(service)
    for path in folder.iterdir():
        path.write_text(path.read_text().replace("first", "second"))
    server.answer = answer
    with pytest.raises(ToolFault, match=reason):
        await ingest(64)
    assert await texts_of(service) == before
    assert await service.store.quarantined("default", "docs") == []

    server.answer = vectors
    report = await ingest(64)
    assert (report.changed, report.quarantined) == (2, ())
    assert [text for text in await texts_of(service) if "second version" not in text] == []


class SlowRecord(MemoryRecord):
    """Takes a long document in many steps, as an embedder does; a short one waits until the long one is through."""

    def __init__(self) -> None:
        super().__init__()
        self.through = asyncio.Event()

    async def put(
        self, document: StoredDocument, chunks: Sequence[Chunk], text: str, on_step: OnStep | None = None
    ) -> None:
        assert on_step is not None
        if document.document == "hours.md":
            for _ in range(40):
                await asyncio.sleep(0.05)
                on_step()
            self.through.set()
        await self.through.wait()
        await super().put(document, chunks, text, on_step)


async def test_a_write_that_gets_further_may_take_longer_than_the_deadline_and_so_may_those_behind_it(
    folder: Path, parser: ParserPool
) -> None:
    record = SlowRecord()
    pipeline = IngestPipeline(record, parser, IngestSettings(store_timeout_s=1))
    report = await pipeline.run(FolderSource(folder, name="docs"))
    assert (report.taken, record.paths()) == (2, {"hours.md", "holidays.md"})


async def test_the_store_tells_of_each_batch_that_was_embedded(service: KnowledgeService) -> None:
    steps: list[int] = []
    passages = [f"Rule number {number}." for number in range(600)]
    await service.store.put(*make_document("rules.md", passages), lambda: steps.append(1))
    assert len(steps) == 3


async def test_every_refused_part_of_a_file_is_reported_for_as_long_as_it_is_left_out(tmp_path, service, parser):
    folder = tmp_path / "docs"
    folder.mkdir()
    broken = b"%PDF-1.7 broken"
    mail = samples.mail_with([("bill.pdf", broken), ("bill.pdf", broken), (f"{'long ' * 500}.pdf", broken)])
    (folder / "m.eml").write_bytes(mail)
    pipeline = IngestPipeline(service.store, parser)

    async def left_out() -> list[str]:
        report = await pipeline.run(FolderSource(folder, name="docs"))
        assert list(report.quarantined) == await service.store.quarantined("default", "docs")
        return [entry.document[:20] for entry in report.quarantined]

    assert await left_out() == ["m.eml/bill (2).pdf", "m.eml/bill.pdf", "m.eml/long long long"]
    assert await left_out() == ["m.eml/bill (2).pdf", "m.eml/bill.pdf", "m.eml/long long long"]
    (folder / "m.eml").rename(folder / "n.eml")
    assert await left_out() == ["n.eml/bill (2).pdf", "n.eml/bill.pdf", "n.eml/long long long"]
    (folder / "n.eml").write_bytes(samples.mail())
    assert await left_out() == []


async def test_a_refused_file_is_not_parsed_again_until_it_or_a_limit_changes(
    service: KnowledgeService, folder: Path, parser: ParserPool
) -> None:
    broken = folder / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 broken")
    pool = CountingPool(parser)

    async def ingest(**limits: int) -> list[tuple[str, str]]:
        pool.asked.clear()
        settings = IngestSettings.model_validate({"parse": limits})
        report = await IngestPipeline(service.store, pool, settings).run(FolderSource(folder, name="docs"))
        assert report.quarantined == tuple(await service.store.quarantined("default", "docs"))
        return [(entry.document, entry.reason) for entry in report.quarantined]

    first = await ingest()
    assert [document for document, _ in first] == ["broken.pdf"]
    assert await ingest() == first
    assert pool.asked == []
    broken.touch()
    assert await ingest() == first
    assert pool.asked == []
    assert await ingest(cpu_s=90) == first
    assert pool.asked == ["broken.pdf"]
    broken.write_bytes(b"%PDF-1.7 broken otherwise")
    await ingest(cpu_s=90)
    assert pool.asked == ["broken.pdf"]
    broken.unlink()
    assert await ingest(cpu_s=90) == []


async def test_a_file_that_a_busy_machine_did_not_read_in_time_keeps_its_version_and_is_tried_again(
    service: KnowledgeService, folder: Path, parser: ParserPool
) -> None:
    async def ingest(pool: ParserPool) -> IngestReport:
        return await IngestPipeline(service.store, pool).run(FolderSource(folder, name="docs"))

    await ingest(parser)
    (folder / "hours.md").write_text("# hours\n\n" + "The second version of hours.\n\n" * 100_000)
    async with ParserPool(ParseSettings(workers=1, timeout_s=0.1)) as hurried:
        report = await ingest(hurried)
    assert (report.quarantined, len(report.warnings)) == ((), 1)
    assert "The first version of hours." in "".join(await texts_of(service))
    (folder / "hours.md").write_text("# hours\n\nThe third version of hours.\n")
    assert (await ingest(parser)).changed == 1
    assert "The third version of hours." in "".join(await texts_of(service))


async def test_what_a_source_closes_is_closed_whatever_becomes_of_the_run(
    service: KnowledgeService, server: Server, folder: Path, parser: ParserPool
) -> None:
    class Unreadable(FolderSource):
        async def read(self, item: SourceItem) -> bytes:
            if item.document == "hours.md":
                raise ToolFault("It is locked.", retryable=True)
            return await super().read(item)

    async def seen_by(who: Principal) -> list[str]:
        return [document.document for document in await service.documents(who)]

    pipeline = IngestPipeline(service.store, parser)
    await pipeline.run(FolderSource(folder, name="docs"))
    (folder / ".access.yaml").write_text('"hours.md": [group:finance]\n')
    assert (await pipeline.run(FolderSource(folder, name="docs"), dry_run=True)).changed == 1
    assert await seen_by(ADA) == ["holidays.md", "hours.md"]
    (folder / "holidays.md").write_text("# holidays\n\nThe second version of holidays.\n")
    server.answer = lambda _: httpx2.Response(401, text="expired")
    with pytest.raises(ToolFault, match="expired"):
        await pipeline.run(Unreadable(folder, name="docs"))
    assert await seen_by(ADA) == ["holidays.md"]
    assert await seen_by(CLARA) == ["holidays.md", "hours.md"]

    server.answer = vectors
    assert (await pipeline.run(FolderSource(folder, name="docs"))).changed == 2
    assert await seen_by(ADA) == ["holidays.md"]
    assert (await service.check()).green
