"""kill -9 at any moment of a run: what was acknowledged is there, and the next run completes the rest."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from knowledge.ingest import IngestPipeline
from knowledge.parse.pool import ParserPool
from knowledge.service import KnowledgeService
from knowledge.settings import ParseSettings, RetrievalSettings
from knowledge.sources import FolderSource
from tests.knowledge.retrieval.helpers import WordEmbedder

ROOT = Path(__file__).parents[3]
SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.knowledge.ingest.test_kill import ingest

print("started", flush=True)
asyncio.run(ingest(Path(sys.argv[1]), Path(sys.argv[2]), lambda step: print(step.done, flush=True)))
"""


async def ingest(folder: Path, data: Path, on_progress=None):
    service = await KnowledgeService.open(RetrievalSettings(), data, WordEmbedder())
    try:
        async with ParserPool(ParseSettings(workers=1)) as parser:
            pipeline = IngestPipeline(service.store, parser)
            report = await pipeline.run(FolderSource(folder, name="docs"), on_progress=on_progress)
        await service.settled()
        await service.check()  # mends what the kill left behind
        return report, await service.store.known("default", "docs"), await service.check()
    finally:
        await service.close()


async def killed_run(folder: Path, data: Path, after: int) -> int:
    """Run in a process of its own and kill it once `after` files are done; returns how many it acknowledged."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, str(folder), str(data), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    done = 0
    while line := await process.stdout.readline():
        if line.strip().isdigit():
            done = int(line)
            if done >= after:
                break
    if process.returncode is None:
        os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    return done


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.slow)])
async def test_a_killed_run_loses_nothing_that_was_acknowledged_and_the_next_completes_it(tmp_path, kills):
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02}.md").write_text(f"# Page {number}\n\nThis page tells what number {number} means.\n")
    data = tmp_path / "data"
    chance = random.Random(7)
    for _ in range(kills):
        acknowledged = await killed_run(folder, data, chance.randint(1, 30))
    report, known, integrity = await ingest(folder, data)
    assert report.unchanged >= acknowledged
    assert report.unchanged + report.taken + report.changed == 30
    assert len(known) == 30
    assert all(document.fingerprint for document in known.values())
    assert integrity.green
