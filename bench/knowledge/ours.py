"""Our side of `bench.knowledge.compare`: the pipeline and the service with their defaults."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import structlog

from bench.knowledge.measure import Stopwatch, peak_mb
from evals.knowledge.beir import as_document
from knowledge.ingest import IngestPipeline
from knowledge.parse.pool import ParserPool
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from knowledge.sources import FolderSource
from signalbox.identity import Principal

_READER = Principal(user="reader")


async def take_folder(service: KnowledgeService, folder: Path) -> int:
    """Files, as `signalbox ingest` takes them."""
    async with ParserPool() as parser:
        report = await IngestPipeline(service.store, parser).run(FolderSource(folder, name="documents"))
    return report.chunks


async def take_passages(service: KnowledgeService, rows: list[dict[str, Any]]) -> int:
    """Ready passages, each a document."""
    waiting = iter(rows)

    async def some() -> None:
        for row in waiting:
            entry = {"_id": row["id"], **row, "metadata": {"heading": row["heading"]}}
            await service.store.put(*as_document("documents", entry, "en"))

    await asyncio.gather(*(some() for _ in range(8)))
    return len(rows)


def _rows(job: dict[str, Any]) -> list[dict[str, Any]]:
    return json.loads(Path(job["passages"]).read_text())


async def main(job: dict[str, Any]) -> dict[str, Any]:
    """Take, ask, report."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="bench-ours-") as temporary:
        data = Path(temporary)
        (data / "models").symlink_to(Path(job["models"]))
        service = await KnowledgeService.open(RetrievalSettings(), data)
        try:
            await service.settled()
            watch = Stopwatch()
            if "folder" in job:
                pieces = await take_folder(service, Path(job["folder"]))
            else:
                pieces = await take_passages(service, _rows(job))
            wall, cpu = watch.wall_s, watch.cpu_s + watch.children_cpu_s
            await service.search(_READER, ["warm up"])
            watch = Stopwatch()
            ranked = {}
            for key, question in job["questions"].items():
                found = await service.search(_READER, [question], limit=20)
                ranked[key] = list(dict.fromkeys(hit.document.document for hit in found.hits))
            query = 1000 * watch.cpu_s / len(ranked)
        finally:
            await service.close()
    return {
        "ranked": ranked,
        "pieces": pieces,
        "ingest_s": wall,
        "ingest_cpu_s": cpu,
        "query_cpu_ms": query,
        "peak_mb": peak_mb(),
    }


if __name__ == "__main__":
    answer = asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
    Path(sys.argv[2]).write_text(json.dumps(answer))
