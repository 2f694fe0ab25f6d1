"""What taking a folder of real documents costs, as a whole and stage by stage, with the embedder of this machine.

    python -m bench.knowledge.ingest DIR [--models DATA_DIR/models]

The stages are run one after another on the same documents, so that each one's processor time is its own; the whole run
does them at the same time, many documents at once.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from bench.knowledge.exact import Exact
from bench.knowledge.measure import Stopwatch, load, megabytes, peak_mb, percentiles
from knowledge.chunk import chunk_document
from knowledge.contracts import AccessRule, Chunk, ParsedDocument, StoredDocument, document_id_of
from knowledge.duplicates import sketch_of
from knowledge.embed import MiniLMEmbedder
from knowledge.embed.passages import Floats, PassageText, PassageVectors
from knowledge.ingest import IngestPipeline, IngestReport
from knowledge.parse.pool import ParserPool
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from knowledge.sources import FolderSource
from knowledge.store.rows import passage_of
from signalbox.errors import ToolFault
from signalbox.identity import Principal

Kept = tuple[StoredDocument, list[Chunk], str]


class Known:
    """An embedder that knows the answers; only the index is left to pay for."""

    def __init__(self, model: MiniLMEmbedder) -> None:
        self.name, self.dimensions, self.languages = model.name, model.dimensions, model.languages
        self.vectors: dict[str, PassageVectors] = {}
        self._model = model

    async def embed(self, texts: Sequence[str]) -> Floats:
        return await self._model.embed(texts)

    async def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        return [self.vectors[passage.sha] for passage in passages]

    async def close(self) -> None:
        pass


async def run(service: KnowledgeService, folder: Path) -> IngestReport:
    """One run, as `signalbox ingest` does it."""
    async with ParserPool() as parser:
        return await IngestPipeline(service.store, parser).run(FolderSource(folder, name="documents"))


async def whole(folder: Path, data: Path) -> None:
    """All stages at once, then without changes, then with one changed file."""
    service = await KnowledgeService.open(RetrievalSettings(), data)
    try:
        await service.settled()
        watch = Stopwatch()
        report = await run(service, folder)
        own, parsers, wall = watch.cpu_s, watch.children_cpu_s, watch.wall_s
        print(
            f"whole run: {report.taken} documents, {report.chunks} passages in {wall:.1f} s "
            f"({report.taken / wall:.1f} documents/s, {report.chunks / wall:.1f} passages/s; "
            f"{own:.1f} CPU-s and {parsers:.1f} in parsers); quarantined {len(report.quarantined)}; {load()}",
            flush=True,
        )
        watch = Stopwatch()
        again = await run(service, folder)
        print(f"nothing changed: {again.unchanged} files in {watch.wall_s:.2f} s ({watch.cpu_s:.2f} CPU-s)")
        changed = _change_largest(folder)
        watch = Stopwatch()
        again = await run(service, folder)
        wall, own, parsers = watch.wall_s, watch.cpu_s, watch.children_cpu_s
        print(
            f"one changed file ({changed.stat().st_size // 1000} kB, the largest): {again.changed} in {wall:.2f} s "
            f"({own:.2f} CPU-s and {parsers:.2f} in a parser); {again.chunks} passages, those that stayed not embedded"
        )
        print(f"on disk: {megabytes(data / 'knowledge'):.1f} MB for {megabytes(folder):.1f} MB of documents")
    finally:
        await service.close()
    print(f"peak memory, without the parsers: {peak_mb():.0f} MB", flush=True)


def _change_largest(folder: Path) -> Path:
    changed = max(folder.rglob("*.md"), key=lambda path: path.stat().st_size)
    changed.write_text(changed.read_text() + "\n\nThe last sentence of this page is new.\n")
    return changed


async def stages(folder: Path, data: Path) -> None:
    """Parsing, cutting, embedding, indexing: each alone."""
    source = FolderSource(folder, name="documents")
    items = [item async for item in source.items()]
    watch = Stopwatch()
    documents: list[tuple[str, ParsedDocument]] = []
    async with ParserPool() as parser:
        for item in items:
            try:
                parsed = await parser.parse(item.document, await source.read(item))
            except ToolFault:  # the pipeline leaves it out too, and says so
                continue
            documents += [(item.document, part.document) for part in parsed.parts if part.document]
    parsing = watch.cpu_s + watch.children_cpu_s

    watch = Stopwatch()
    kept = [_cut(name, parsed) for name, parsed in documents]
    cutting = watch.cpu_s
    model = MiniLMEmbedder(data / "models")
    await model.embed(["warm up"])
    known = Known(model)
    passages = {passage.sha: passage for document, chunks, _ in kept for passage in _passages(document, chunks)}
    watch = Stopwatch()
    made = await model.embed_passages(list(passages.values()))
    embedding = watch.cpu_s
    known.vectors = dict(zip(passages, made, strict=True))

    service = await KnowledgeService.open(RetrievalSettings(), data / "stages", known)
    try:
        await service.settled()
        watch = Stopwatch()
        for parts in kept:
            await service.store.put(*parts)
        indexing = watch.cpu_s
        exact = await Exact.read(service, model)
        questions = [passage.sentences[0] for passage in list(passages.values())[::20] if passage.sentences]
        ten, hundred = await exact.recalls([Principal(user="reader")], questions)
        print(f"Chroma against exact search, {len(questions)} sentences: recall@10 {ten:.4f}, recall@100 {hundred:.4f}")
    finally:
        await service.close()
    await _print_stages(kept, {"parse": parsing, "cut": cutting, "embed": embedding, "record and index": indexing})
    await _print_query(model)
    await model.close()


async def _print_stages(kept: list[Kept], seconds: dict[str, float]) -> None:
    count, total = sum(len(chunks) for _, chunks, _ in kept), sum(seconds.values())
    print("| stage, alone | CPU-s | share | CPU-ms a passage |\n|---|---|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.1f} | {value / total:.0%} | {1000 * value / count:.1f} |")
    print(load())


async def _print_query(model: MiniLMEmbedder) -> None:
    costs = []
    for number in range(100):
        begun = time.process_time()
        await model.embed([f"How many days may an agreement of kind {number} take before it is in place?"])
        costs.append(1000 * (time.process_time() - begun))
    print("embedding one question: CPU-ms p50 {:.1f}, p95 {:.1f}".format(*percentiles(costs)))


def _cut(name: str, parsed: ParsedDocument) -> Kept:
    document_id = document_id_of("default", name)
    chunks = chunk_document(parsed, document_id)
    stored = StoredDocument(
        document_id=document_id,
        tenant="default",
        source="documents",
        document=name,
        uri=name,
        title=parsed.title,
        media_type=parsed.media_type,
        content_sha256="",
        fingerprint="1",
        size_bytes=len(parsed.text),
        access=AccessRule(allow=frozenset({"everyone"})),
        language=parsed.language,
        sketch=sketch_of(parsed.text),
    )
    return stored, list(chunks), parsed.text


def _passages(document: StoredDocument, chunks: Sequence[Chunk]) -> list[PassageText]:
    return [passage_of(document, chunk) for chunk in chunks]


def main(folder: Path, models: Path | None) -> None:
    """Print the figures; the folder itself is only copied."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="bench-knowledge-") as temporary:
        data = Path(temporary)
        copy = data / "documents"
        shutil.copytree(folder, copy, copy_function=shutil.copyfile)
        for path in copy.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        if models:
            (data / "models").symlink_to(models.resolve())
        asyncio.run(whole(copy, data))
        asyncio.run(stages(copy, data))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=Path, help="where the converted model is already")
    given = parser.parse_args()
    main(given.folder, given.models)
