"""Loss, damage, two writers, a killed process: noticed and mended."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from knowledge.index.lock import WriterLock
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from signalbox.errors import Conflict, UpstreamDown, UserFault
from tests.knowledge.retrieval.helpers import ADA, BIKES, LEAVE, WordEmbedder, make_document

_ROOT = Path(__file__).resolve().parents[3]


async def _open(folder: Path, embedder: WordEmbedder | None = None) -> KnowledgeService:
    return await KnowledgeService.open(RetrievalSettings(), folder, embedder or WordEmbedder())


def _record(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "knowledge" / "record.db")


async def test_a_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    first = await _open(tmp_path)
    with pytest.raises(UserFault, match=f"in use by process {os.getpid()}"):
        await _open(tmp_path)
    await first.close()
    await (await _open(tmp_path)).close()


def test_a_lock_that_a_killed_process_left_to_a_child_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "chroma.lock"
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    path.write_text(f"{gone.pid}\n")
    code = "import fcntl, sys, time; fcntl.flock(0, fcntl.LOCK_EX); print(flush=True); time.sleep(0.5)"
    with path.open("r+") as held:
        child = subprocess.Popen([sys.executable, "-c", code], stdin=held, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        lock = WriterLock(path)
        lock.acquire()
        assert path.read_text() == f"{os.getpid()}\n"
        lock.release()


async def test_a_lost_dense_index_is_made_again_from_the_cache(tmp_path: Path) -> None:
    service = await _open(tmp_path)
    await service.store.put(*LEAVE)
    await service.close()
    shutil.rmtree(tmp_path / "knowledge" / "chroma")
    embedder = WordEmbedder()
    again = await _open(tmp_path, embedder)
    report = await again.check()
    assert report.green or report.missing == 2  # the check at start may have been faster
    assert (await again.check()).green
    assert [text for text in embedder.asked if "leave" in text.lower()] == []
    assert len((await again.search(ADA, ["sick leave"])).hits) == 2
    await again.close()


async def test_words_that_were_lost_are_indexed_again(tmp_path: Path) -> None:
    service = await _open(tmp_path)
    await service.store.put(*LEAVE)
    await service.close()
    with _record(tmp_path) as record:
        record.execute("INSERT INTO knowledge_stems(knowledge_stems) VALUES ('delete-all')")
    record.close()
    again = await _open(tmp_path)
    await again.check()
    hits = (await again.search(ADA, ["sick leave"])).hits
    assert max(hit.signals["lexical"] for hit in hits) > 0
    await again.close()


async def test_a_new_embedder_builds_a_new_index_beside_the_old_and_switches(tmp_path: Path) -> None:
    first = await _open(tmp_path, WordEmbedder("words-1"))
    await first.store.put(*LEAVE)
    await first.close()
    second = await _open(tmp_path, WordEmbedder("words-2", dimensions=32))
    before = await second.search(ADA, ["parental leave"])  # served by words until the switch
    assert before.hits
    await second.settled()
    found = await second.search(ADA, ["parental leave"], run_id="run_1")
    assert any(hit.signals["dense"] for hit in found.hits)
    await second.store.put(*BIKES)
    assert (await second.check()).green
    await second.close()


async def test_an_index_is_rebuilt_and_rolled_back(service: KnowledgeService) -> None:
    await service.store.put(*LEAVE)
    with pytest.raises(Conflict):
        await service.roll_back()
    rebuilt = await service.rebuild()
    await service.store.put(*BIKES)
    back = await service.roll_back()
    assert (back.current, back.previous) == (rebuilt.previous, rebuilt.current)
    found = await service.search(ADA, ["Heron kilograms"])
    assert found.hits[0].signals["dense"] > 0
    assert (await service.check()).green


async def test_documents_put_during_a_rebuild_are_in_the_new_index(service: KnowledgeService) -> None:
    for number in range(10):
        await service.store.put(*make_document(f"{number}.md", [f"Note {number}."]))
    late = [service.store.put(*make_document(f"late{number}.md", [f"Late note {number}."])) for number in range(10)]
    await asyncio.gather(service.rebuild(), *late)
    assert (await service.check()).green


_VICTIM = """
import asyncio, sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from pydantic import SecretStr
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from tests.knowledge.retrieval.helpers import WordEmbedder, make_document

async def main():
    settings = RetrievalSettings(database_url=SecretStr(sys.argv[2]), words=sys.argv[3])
    service = await KnowledgeService.open(settings, Path(sys.argv[1]), WordEmbedder())
    for number in range(10_000):
        await service.store.put(*make_document(f"{number}.md", [f"Rule {number} part {part}." for part in range(5)]))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kept", ["fts5", "tantivy", "postgresql"])
async def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    tmp_path: Path, kept: str, request: pytest.FixtureRequest
) -> None:
    url, words = "", kept
    if kept == "postgresql":
        url, words = request.getfixturevalue("postgres_url"), "auto"
    settings = RetrievalSettings.model_validate({"database_url": url, "words": words})
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _VICTIM, str(tmp_path), url, words, cwd=_ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert victim.stdout is not None
    acknowledged = -1
    while acknowledged < 5:
        line = (await victim.stdout.readline()).decode()
        acknowledged = int(line) if line.strip().isdigit() else acknowledged
    await asyncio.sleep(0.03)
    victim.send_signal(signal.SIGKILL)
    rest = (await victim.stdout.read()).decode().split("\n")
    acknowledged = max([acknowledged, *(int(line) for line in rest if line.isdigit())])
    await victim.wait()

    service = await KnowledgeService.open(settings, tmp_path, WordEmbedder())
    await service.settled()
    assert (await service.check()).green
    known = await service.store.known("default", "docs")
    complete = {uri for uri, entry in known.items() if entry.fingerprint}
    assert {f"file:///{number}.md" for number in range(acknowledged + 1)} <= complete
    found = await service.search(ADA, [f"Rule {acknowledged} part 4"], limit=20)
    assert max(hit.signals["lexical"] for hit in found.hits if hit.document.document == f"{acknowledged}.md") > 0
    for uri in known.keys() - complete:  # what was half-done is done again by the next run
        name = uri.removeprefix("file:///")
        number = name.removesuffix(".md")
        await service.store.put(*make_document(name, [f"Rule {number} part {part}." for part in range(5)]))
    assert (await service.check()).green
    await service.close()


@pytest.mark.timeout(30)
async def test_an_index_that_cannot_be_opened_is_set_aside(tmp_path: Path) -> None:
    service = await _open(tmp_path)
    await service.store.put(*LEAVE)
    await service.close()
    home = tmp_path / "knowledge"
    (home / "chroma" / "chroma.sqlite3").write_bytes(b"this is no database, " * 1000)
    (home / "chroma.open").touch()  # as after a kill
    again = await _open(tmp_path)
    await again.settled()
    assert (await again.check()).green
    assert len((await again.search(ADA, ["sick leave"])).hits) == 2
    assert (home / "chroma.damaged").exists()
    await again.close()


async def test_without_its_chroma_server_words_still_answer(tmp_path: Path) -> None:
    service = await _open(tmp_path)
    await service.store.put(*LEAVE)
    await service.close()
    nowhere = RetrievalSettings.model_validate({"chroma": {"url": "http://127.0.0.1:9"}})
    alone = await KnowledgeService.open(nowhere, tmp_path, WordEmbedder())
    found = await alone.search(ADA, ["sick leave"])
    assert [hit.document.document for hit in found.hits] == ["leave.md", "leave.md"]
    with pytest.raises(UpstreamDown, match=r"127\.0\.0\.1:9"):
        await alone.store.put(*BIKES)
    await alone.close()


async def _until(met: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(8):
        while not await met():
            await asyncio.sleep(0.02)


async def test_what_is_lost_or_grows_old_long_after_the_start_is_seen_to(tmp_path: Path) -> None:
    service = await KnowledgeService.open(RetrievalSettings(upkeep_every_s=0.2), tmp_path, WordEmbedder())
    await service.store.put(*LEAVE)
    await service.search(ADA, ["sick leave"], run_id="run_old")
    await service.settled()
    with _record(tmp_path) as record:
        record.execute("INSERT INTO knowledge_stems(knowledge_stems) VALUES ('delete-all')")
        record.execute("UPDATE knowledge_retrieval_audit SET at = at - 100 * 86400")
    record.close()

    async def mended() -> bool:
        hits = (await service.search(ADA, ["sick leave"])).hits
        return max(hit.signals["lexical"] for hit in hits) > 0 and not await service.audit("run_old")

    await _until(mended)
    await service.close()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("knowledge-upkeep")] == []


async def test_without_its_chroma_server_the_rest_of_upkeep_is_done(tmp_path: Path) -> None:
    service = await _open(tmp_path)
    await service.store.put(*LEAVE)
    await service.search(ADA, ["sick leave"], run_id="run_old")
    await service.close()
    with _record(tmp_path) as record:
        record.execute("INSERT INTO knowledge_stems(knowledge_stems) VALUES ('delete-all')")
        record.execute("UPDATE knowledge_retrieval_audit SET at = at - 100 * 86400")
    record.close()
    nowhere = RetrievalSettings.model_validate({"chroma": {"url": "http://127.0.0.1:9"}})
    alone = await KnowledgeService.open(nowhere, tmp_path, WordEmbedder())
    await alone.settled()
    hits = (await alone.search(ADA, ["sick leave"])).hits
    assert max(hit.signals["lexical"] for hit in hits) > 0
    assert await alone.audit("run_old") == []
    await alone.close()


async def test_going_back_to_the_embedder_before_serves_its_index_again(tmp_path: Path) -> None:
    first = await _open(tmp_path, WordEmbedder("words-1"))
    await first.store.put(*LEAVE)
    await first.close()
    second = await _open(tmp_path, WordEmbedder("words-2", dimensions=32))
    await second.settled()
    await second.store.put(*BIKES)
    with pytest.raises(Conflict, match=r"made by the embedder 'words-1'.*restart"):
        await second.roll_back()
    await second.close()
    embedder = WordEmbedder("words-1")
    back = await _open(tmp_path, embedder)
    await back.settled()
    found = await back.search(ADA, ["Heron kilograms"])
    assert found.hits[0].signals["dense"] > 0
    assert [text for text in embedder.asked if "leave" in text.lower()] == []
    assert (await back.check()).green
    assert (await back.rebuild()).current.endswith("_3")  # two were made: the first one came back, none was built
    await back.close()
