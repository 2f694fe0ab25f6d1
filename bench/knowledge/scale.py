"""What a large collection costs: ingest, memory, disk, a run without changes, and searches under many access sets.

    python -m bench.knowledge.scale --passages 10000 --groups 1 20 100 [--data DIR] [--asks-only] [--database URL]

`--asks-only` asks again of a DIR that an earlier run filled; `--database` keeps the record in an empty PostgreSQL.

Files go through the real pipeline (parser processes, chunker, record, Chroma, words). Vectors are hashed words of 384
dimensions instead of a model's, so that what is measured is the index; `bench.knowledge.ingest` measures the model.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np
import structlog
from pydantic import SecretStr

from bench.knowledge.exact import Exact
from bench.knowledge.measure import Stopwatch, load, megabytes, peak_mb, percentiles
from bench.knowledge.synthetic import Corpus, HashEmbedder, principal_groups, questions_of, write_corpus
from knowledge.ingest import IngestPipeline, IngestReport
from knowledge.parse.pool import ParserPool
from knowledge.service import KnowledgeService
from knowledge.settings import ChromaSettings, RetrievalSettings
from knowledge.sources import FolderSource
from signalbox.identity import Principal

_PEOPLE = 10


async def ingest(service: KnowledgeService, folder: Path) -> IngestReport:
    """One run over the folder, as `signalbox ingest` does it."""
    async with ParserPool() as parser:
        return await IngestPipeline(service.store, parser).run(FolderSource(folder, name="synthetic"))


async def fill(settings: RetrievalSettings, data: Path, corpus: Corpus) -> None:
    """The first run, one without changes, and one with a changed file."""
    embedder = HashEmbedder()
    service = await KnowledgeService.open(settings, data, embedder)
    try:
        await service.settled()
        watch = Stopwatch()
        report = await ingest(service, corpus.folder)
        own, parsers = watch.cpu_s, watch.children_cpu_s
        print(
            f"ingest: {report.taken} documents, {report.chunks} passages in {watch.wall_s:.1f} s: "
            f"{report.chunks / watch.wall_s:.0f} passages/s; CPU-ms a passage: {1000 * own / report.chunks:.2f} here "
            f"({1000 * embedder.cpu_s / report.chunks:.2f} of it the stand-in vectors), "
            f"{1000 * parsers / report.chunks:.2f} in parsers; {load()}",
            flush=True,
        )
        watch = Stopwatch()
        again = await ingest(service, corpus.folder)
        print(f"nothing changed: {again.unchanged} files in {watch.wall_s:.2f} s ({watch.cpu_s:.2f} CPU-s)")
        changed = next(corpus.folder.glob("set-000/*.md"))
        changed.write_text(changed.read_text() + "\n## Addition\n\nOne more sentence.\n")
        watch = Stopwatch()
        again = await ingest(service, corpus.folder)
        print(f"one changed file: {again.changed} in {watch.wall_s:.2f} s ({watch.cpu_s:.2f} CPU-s)")
        watch = Stopwatch()
        integrity = await service.check()
        print(f"integrity job: green={integrity.green} in {watch.wall_s:.1f} s ({watch.cpu_s:.1f} CPU-s)")
    finally:
        await service.close()
    print(f"peak memory, without the parsers: {peak_mb():.0f} MB")
    folder = data / "knowledge"
    kept = [folder / name for name in ("record.db", "words", "chroma")]
    sizes = ", ".join(f"{path.name} {megabytes(path):.0f} MB" for path in kept if path.exists())
    print(f"on disk: {sizes}", flush=True)


async def ask(settings: RetrievalSettings, data: Path, questions: list[str], groups: list[int], queries: int) -> None:
    """Searches by people with so many groups, and Chroma's answers beside the exact ones."""
    watch = Stopwatch()
    service = await KnowledgeService.open(settings, data, HashEmbedder())
    try:
        await service.settled()
        print(f"opened and checked in {watch.wall_s:.1f} s ({watch.cpu_s:.1f} CPU-s)")
        exact = await Exact.read(service, HashEmbedder())
        print("| groups | sets seen | passages seen | CPU-ms p50 / p95 | ms p50 / p95 | recall@10 | recall@100 |")
        print("|---|---|---|---|---|---|---|", flush=True)
        for count in groups:
            chance = np.random.default_rng(count)
            people = [Principal(user=f"p{n}", groups=principal_groups(chance, count)) for n in range(_PEOPLE)]
            await service.search(people[0], ["warm up"])
            cpu, wall = [], []
            for number in range(queries):
                question = questions[number % len(questions)]
                begun, burnt = time.perf_counter(), time.process_time()
                await service.search(people[number % _PEOPLE], [question], limit=10)
                cpu.append(1000 * (time.process_time() - burnt))
                wall.append(1000 * (time.perf_counter() - begun))
            ten, hundred = await exact.recalls(people, questions[: queries // 2])
            fast, slow = percentiles(cpu), percentiles(wall)
            print(
                f"| {count} | {exact.sets_seen:.0f} | {exact.share_seen:.1%} | {fast[0]:.1f} / {fast[1]:.1f} | "
                f"{slow[0]:.1f} / {slow[1]:.1f} | {ten:.4f} | {hundred:.4f} |",
                flush=True,
            )
        print(load())
    finally:
        await service.close()


async def main(given: argparse.Namespace, data: Path) -> None:
    """Print the figures of one size."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    chroma = ChromaSettings(ef_search=400 if given.passages > 50_000 else 200)
    database = SecretStr(given.database) if given.database else None
    settings = RetrievalSettings(chroma=chroma, database_url=database)
    if given.asks_only:
        questions = await asyncio.to_thread(questions_of, data / "documents")
    else:
        corpus = await asyncio.to_thread(write_corpus, data / "documents", given.passages)
        await fill(settings, data, corpus)
        questions = corpus.questions
    await ask(settings, data, questions, given.groups, given.queries)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 20, 100])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--data", type=Path, help="an empty folder to keep; default: a temporary one")
    parser.add_argument("--asks-only", action="store_true")
    parser.add_argument("--database", help="postgresql://… of an empty database, instead of SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-knowledge-") as temporary:
        asyncio.run(main(options, options.data or Path(temporary)))
