"""A Chroma server that fails in every way but being down: searches go on by words, and nothing hangs."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from knowledge.embed import OpenAIEmbedder
from knowledge.index.dense import DenseIndex
from knowledge.service import KnowledgeService
from knowledge.settings import ChromaSettings, RetrievalSettings
from signalbox.errors import UpstreamDown
from tests.knowledge.retrieval.helpers import ADA, BIKES, LEAVE, WordEmbedder
from tests.knowledge.retrieval.test_chroma_server import chroma

__all__ = ["chroma"]
pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore:.verify=<str>. is deprecated:DeprecationWarning"),
]
_SILENCE = "silence"
_REPLIES = {
    "a proxy's page": ("502 Bad Gateway", "<html>no upstream</html>"),
    "a page that is not there": ("404 Not Found", "<html>nothing here</html>"),
    "an error of Chroma's": ("500 Internal Server Error", '{"error":"InternalError","message":"disk full"}'),
    "a refusal of Chroma's": ("400 Bad Request", '{"error":"InvalidArgumentError","message":"no"}'),
    "a quota": ("429 Too Many Requests", '{"error":"RateLimitError","message":"slow down"}'),
}


@dataclass
class Moody:
    """A proxy before a server: it passes on, answers itself, or takes a request and says nothing."""

    port: int = 0
    mood: str = ""
    greets: bool = True
    held: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, upstream: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self.mood and not (self.greets and b"/heartbeat" in head):
            if self.mood == _SILENCE:
                self.held.append(writer)
                return
            status, body = _REPLIES[self.mood]
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n".encode())
            writer.write(b"connection: close\r\n\r\n" + body.encode())
        else:
            inner, outer = await asyncio.open_connection("127.0.0.1", upstream)
            outer.write(head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            asking = asyncio.create_task(_pump(reader, outer))
            await _pump(inner, writer)
            asking.cancel()
            outer.close()
        await writer.drain()
        writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while part := await source.read(65_536):
        target.write(part)
        await target.drain()


@pytest.fixture
async def moody(chroma: int) -> AsyncIterator[Moody]:
    proxy = Moody()
    server = await asyncio.start_server(lambda *pair: proxy.serve(chroma, *pair), "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    yield proxy
    for writer in proxy.held:
        writer.close()
    server.close()


async def _filled(moody: Moody, folder: Path, timeout_s: float = 20) -> KnowledgeService:
    settings = RetrievalSettings(chroma=ChromaSettings(url=moody.url, timeout_s=timeout_s))
    service = await KnowledgeService.open(settings, folder, WordEmbedder())
    await service.store.put(*LEAVE)
    return service


async def _recovered(index: DenseIndex) -> dict[str, int]:
    """What it holds, as soon as the calls before have given up."""
    while True:
        with contextlib.suppress(UpstreamDown):
            return await index.labels("kb_test")


async def test_whatever_the_server_answers_the_words_still_find(moody: Moody, tmp_path: Path) -> None:
    service = await _filled(moody, tmp_path)
    whole = await service.search(ADA, ["parental leave weeks"])
    assert whole.hits[0].chunk.text.startswith("Parental leave")
    for mood in _REPLIES:
        moody.mood = mood
        found = await service.search(ADA, ["parental leave weeks"], run_id=mood)
        assert found.hits[0].chunk.chunk_id == whole.hits[0].chunk.chunk_id, mood
        (entry,) = await service.audit(mood)
        assert entry.returned == [hit.chunk.chunk_id for hit in found.hits]
        with pytest.raises(UpstreamDown, match="failed"):
            await service.store.put(*BIKES)
    moody.mood = ""
    await service.store.put(*BIKES)
    assert (await service.check()).green
    await service.close()


async def test_more_silent_calls_than_threads_hold_neither_searches_nor_the_end_up(
    moody: Moody, tmp_path: Path
) -> None:
    service = await _filled(moody, tmp_path, timeout_s=1)
    moody.mood = _SILENCE
    for _ in range(2):
        found = await asyncio.gather(*(service.search(ADA, ["parental leave weeks"]) for _ in range(5)))
        assert all(each.hits[0].chunk.text.startswith("Parental leave") for each in found)
    moody.mood = ""
    await _recovered(service._dense)
    again = await service.search(ADA, ["parental leave weeks"])
    assert again.hits[0].signals["dense"] > 0
    moody.mood = _SILENCE
    asked = asyncio.create_task(service.search(ADA, ["parental leave weeks"]))
    while not moody.held:
        await asyncio.sleep(0.01)
    await asked
    await service.close()


async def test_a_server_that_greets_and_falls_silent_holds_nobody_up(moody: Moody, tmp_path: Path) -> None:
    moody.mood = _SILENCE
    index = DenseIndex(tmp_path / "chroma", ChromaSettings(url=moody.url, timeout_s=1))
    for _ in range(5):
        with pytest.raises(UpstreamDown):
            await index.labels("kb_test")
    moody.mood = ""
    assert await _recovered(index) == {}
    moody.mood = _SILENCE
    left = asyncio.create_task(index.labels("kb_test"))
    await asyncio.sleep(0.1)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    await index.close()
    with pytest.raises(UpstreamDown, match="closed"):
        await index.labels("kb_test")


async def test_an_embedding_server_that_refuses_leaves_the_words(tmp_path: Path) -> None:
    replies: list[httpx2.Response] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        if replies:
            return replies[0]
        count = len(json.loads(request.content)["input"])
        return httpx2.Response(200, json={"data": [{"index": at, "embedding": [1, at]} for at in range(count)]})

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(handle), base_url="http://model.test/v1/")
    service = await KnowledgeService.open(
        RetrievalSettings(), tmp_path, OpenAIEmbedder(client, model="m", dimensions=2, batch_texts=2)
    )
    await service.store.put(*LEAVE)
    for reply in (
        httpx2.Response(401, text="no key"),
        httpx2.Response(404, text="no such model"),
        httpx2.Response(200, text="<html>a page</html>"),
        httpx2.Response(200, json={"data": [{"embedding": [1]}]}),
        httpx2.Response(200, json={"data": [{"index": 0, "embedding": [1, 2, 3]}]}),
    ):
        replies[:] = [reply]
        found = await service.search(ADA, ["parental leave weeks"])
        assert found.hits[0].chunk.text.startswith("Parental leave"), reply.text
    await service.close()
