"""nDCG@10 and recall@10 of each part of retrieval, through the service that answers users.

    python -m evals.knowledge.retrieval DATA_DIR SET_FOLDER...

Passages are kept in DATA_DIR, so a second run starts at the questions. The weights of the fusion and of the sentences
were chosen on the even questions of the sets; figures are given for the odd ones and for all.
"""

import argparse
import asyncio
import resource
import time
from pathlib import Path

from evals.knowledge.beir import BeirSet, as_document, load, ndcg, recall
from knowledge.languages import language_of
from knowledge.service import KnowledgeService
from knowledge.settings import RerankSettings, RetrievalSettings
from signalbox.identity import Principal

_READER = Principal(user="reader")
_PLAIN = RerankSettings(documents=0)
MODES = {
    "dense": RetrievalSettings(dense_weight=1, rerank=_PLAIN),
    "lexical": RetrievalSettings(dense_weight=0, rerank=_PLAIN),
    "hybrid": RetrievalSettings(rerank=_PLAIN),
    "hybrid + rerank": RetrievalSettings(),
    "hybrid + rerank, all 20 read": RetrievalSettings(rerank=RerankSettings(enough=99)),
}


async def fill(data_dir: Path, beir: BeirSet) -> None:
    """Take every passage that is not there yet."""
    service = await KnowledgeService.open(RetrievalSettings(self_queries=0), data_dir)
    try:
        there = {uri for uri, entry in (await service.store.known("default", beir.name)).items() if entry.fingerprint}
        language = language_of(" ".join(row["text"] for row in list(beir.passages.values())[:20]))
        missing = [row for key, row in beir.passages.items() if f"beir://{beir.name}/{key}" not in there]
        waiting = iter(missing)
        started, cpu = time.perf_counter(), time.process_time()

        async def some() -> None:
            for row in waiting:
                await service.store.put(*as_document(beir.name, row, language))

        await asyncio.gather(*(some() for _ in range(8)))
        seconds, burnt = time.perf_counter() - started, time.process_time() - cpu
        if missing:
            rate = len(missing) / seconds
            print(
                f"{beir.name}: {len(missing)} passages, {rate:.1f}/s, {1000 * burnt / len(missing):.0f} CPU-ms each",
                flush=True,
            )
    finally:
        await service.close()


async def rank(
    data_dir: Path, asked: dict[str, str], settings: RetrievalSettings
) -> tuple[dict[str, list[str]], float, float]:
    """The first ten of every question, with CPU and wall milliseconds a question."""
    service = await KnowledgeService.open(settings.model_copy(update={"self_queries": 0}), data_dir)
    try:
        await service.settled()  # an index of another embedder is rebuilt first
        await service.search(_READER, ["warm up"])
        ranked: dict[str, list[str]] = {}
        started, cpu = time.perf_counter(), time.process_time()
        for key, text in asked.items():
            found = await service.search(_READER, [text], limit=10)
            ranked[key] = [hit.document.document for hit in found.hits]
        count = len(asked)
        return ranked, 1000 * (time.process_time() - cpu) / count, 1000 * (time.perf_counter() - started) / count
    finally:
        await service.close()


async def main(data_dir: Path, folders: list[Path], every: int) -> None:
    """Print one table a set."""
    for folder in folders:
        beir = load(folder)
        home = data_dir / beir.name
        await fill(home, beir)
        asked = {key: text for number, (key, text) in enumerate(beir.queries.items()) if number // 2 % every == 0}
        print(f"\n{beir.name}: {len(beir.passages)} passages, {len(asked)} questions")
        print("| | nDCG@10 (odd) | recall@10 (odd) | nDCG@10 (all) | recall@10 (all) | CPU-ms | ms |")
        print("|---|---|---|---|---|---|---|", flush=True)
        for mode, settings in MODES.items():
            ranked, cpu, wall = await rank(home, asked, settings)
            figures = []
            for keys in (list(asked)[1::2], list(asked)):
                figures.append(sum(ndcg(ranked[key], beir.relevant[key]) for key in keys) / len(keys))
                figures.append(sum(recall(ranked[key], beir.relevant[key]) for key in keys) / len(keys))
            print(
                f"| {mode} | " + " | ".join(f"{figure:.3f}" for figure in figures) + f" | {cpu:.1f} | {wall:.1f} |",
                flush=True,
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=1, help="ask only every n-th pair of questions")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.data_dir, arguments.sets, arguments.every))
