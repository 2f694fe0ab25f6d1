"""kill -9 at random moments of a run over files that keep changing: what was acknowledged is kept and can be found."""

import asyncio
import hashlib
import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from knowledge.ingest import IngestPipeline, IngestReport
from knowledge.parse.pool import ParserPool
from knowledge.service import KnowledgeService
from knowledge.settings import ParseSettings, RetrievalSettings
from knowledge.sources import FolderSource
from tests.knowledge.retrieval.helpers import ADA, WordEmbedder

ROOT = Path(__file__).parents[2]
FILES = 30
SCRIPT = """
import asyncio, sys
from pathlib import Path
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from tests.knowledge.retrieval.helpers import WordEmbedder
from tests.knowledge.test_kill_at_random import run

async def main(folder, data):
    service = await KnowledgeService.open(RetrievalSettings(), data, WordEmbedder())
    print("ready", flush=True)
    await run(service, folder, lambda step: print("done", step.current, flush=True))
    print("finished", flush=True)
    await service.close()

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


async def run(service: KnowledgeService, folder: Path, on_progress=None) -> IngestReport:
    async with ParserPool(ParseSettings(workers=1)) as parser:
        return await IngestPipeline(service.store, parser).run(
            FolderSource(folder, name="docs"), on_progress=on_progress
        )


@dataclass
class Desk:
    """Files that somebody works on, and what ingest has said of them."""

    folder: Path
    chance: random.Random
    words: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    edits: int = 0

    def write(self, name: str) -> None:
        self.edits += 1
        word = f"kestrel{self.edits}"
        self.words[name] = word
        self.acknowledged.pop(name, None)
        (self.folder / name).write_text(f"# Page {name}\n\nThis page tells about {word}.\n\n## More\n\nAnd more.\n")

    def delete(self, name: str) -> None:
        (self.folder / name).unlink()
        del self.words[name]
        self.acknowledged.pop(name, None)

    def work(self) -> None:
        """Half of the pages are written anew, one goes, one comes."""
        for name in self.chance.sample(sorted(self.words), len(self.words) // 2):
            self.write(name)
        self.delete(self.chance.choice(sorted(self.words)))
        self.write(f"{FILES + self.edits:04}.md")

    def sha(self, name: str) -> str:
        return hashlib.sha256((self.folder / name).read_bytes()).hexdigest()


async def run_in_process(desk: Desk, data: Path, kill_after_s: float | None) -> tuple[float, bool]:
    """A run in a process of its own, killed so long after it began; its seconds, and whether it came to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, str(desk.folder), str(data), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    loop = asyncio.get_running_loop()
    begun, finished = time.monotonic(), False
    while line := (await process.stdout.readline()).decode().strip():
        if line == "ready":
            begun = time.monotonic()
            if kill_after_s is not None:
                loop.call_later(kill_after_s, os.kill, process.pid, signal.SIGKILL)
        elif line == "finished":
            finished = True
            break
        elif line.startswith("done "):
            name = line.removeprefix("done ")
            desk.acknowledged[name] = desk.sha(name)
    seconds = time.monotonic() - begun
    if kill_after_s is not None and finished:
        os.kill(process.pid, signal.SIGKILL)  # while it closes
    await process.wait()
    return seconds, finished


async def check(desk: Desk, data: Path) -> None:
    """All that was acknowledged is there in its acknowledged version, found, and the indexes are in order."""
    service = await KnowledgeService.open(RetrievalSettings(), data, WordEmbedder())
    try:
        await service.settled()  # mends what the kill left behind
        known = await service.store.known("default", "docs")
        kept = {uri.rsplit("/", 1)[1]: entry.content_sha256 for uri, entry in known.items()}
        assert {name: kept.get(name) for name in desk.acknowledged} == desk.acknowledged
        assert (await service.check()).green
        for name in desk.chance.sample(sorted(desk.acknowledged), min(5, len(desk.acknowledged))):
            found = await service.search(ADA, [desk.words[name]], limit=100)
            assert any(desk.words[name] in hit.chunk.text for hit in found.hits)
    finally:
        await service.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_twenty_kills_at_random_moments_lose_nothing_acknowledged_and_the_next_run_completes(tmp_path):
    folder, data = tmp_path / "docs", tmp_path / "data"
    folder.mkdir()
    desk = Desk(folder, random.Random(20))
    for number in range(FILES):
        desk.write(f"{number:04}.md")
    whole_s, finished = await run_in_process(desk, data, None)
    assert finished
    await check(desk, data)
    midway = 0
    for _ in range(20):
        desk.work()
        _, finished = await run_in_process(desk, data, desk.chance.uniform(0, 0.7 * whole_s))
        midway += not finished
        await check(desk, data)
    assert midway >= 10
    service = await KnowledgeService.open(RetrievalSettings(), data, WordEmbedder())
    try:
        report = await run(service, folder)
        known = await service.store.known("default", "docs")
        assert report.unchanged + report.taken + report.changed + report.moved == FILES
        assert {uri.rsplit("/", 1)[1]: entry.content_sha256 for uri, entry in known.items()} == {
            name: desk.sha(name) for name in desk.words
        }
        assert (await service.check()).green
    finally:
        await service.close()
