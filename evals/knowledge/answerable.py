"""Is the right document among the first five, and does `answerable` tell present from absent answers?

    python -m evals.knowledge.answerable DATA_DIR QUESTIONS.jsonl

DATA_DIR holds a knowledge service's data into which the questions' folder was ingested. Each answerable question is
asked twice: of everything, and of everything but the documents that are known to answer it.
"""

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

from knowledge.contracts import Filters
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from signalbox.identity import Principal

_READER = Principal(user="reader")


def auroc(present: list[float], absent: list[float]) -> float:
    """The chance that a present answer scores above an absent one."""
    pairs = [(p > a) + 0.5 * (p == a) for p in present for a in absent]
    return sum(pairs) / len(pairs)


def read_rows(questions: Path) -> list[dict[str, Any]]:
    """The questions of a JSON-lines file."""
    return [json.loads(line) for line in questions.read_text().splitlines() if line.strip()]


async def main(data_dir: Path, rows: list[dict[str, Any]]) -> None:
    """Print the figures."""
    service = await KnowledgeService.open(RetrievalSettings(), data_dir)
    try:
        await service.settled()
        everything = {item.document for item in await service.documents(_READER, limit=100_000)}
        present, removed, absent, hits, times = [], [], [], [], []
        for row in rows:
            started = time.perf_counter()
            found = await service.search(_READER, [row["question"]], limit=20)
            times.append(1000 * (time.perf_counter() - started))
            files = {item["file"].split("/", 1)[1] for item in row.get("evidence", ())}
            if not any(row["answer_any"] or ()):
                absent.append(found.answerable)
                continue
            present.append(found.answerable)
            first = list(dict.fromkeys(hit.document.document for hit in found.hits))[:5]
            hits.append(bool(files & set(first)))
            others = Filters(documents=tuple(everything - files))
            removed.append((await service.search(_READER, [row["question"]], others)).answerable)
    finally:
        await service.close()
    print(f"{len(everything)} documents, {len(present)} answerable and {len(absent)} unanswerable questions")
    print(f"right file among the first five documents: {statistics.mean(hits):.3f}")
    print(f"AUROC: unanswerable {auroc(present, absent):.3f}, documents taken away {auroc(present, removed):.3f}")
    for line in (0.3, 0.4, 0.5, 0.6, 0.7):
        lost = statistics.mean(score < line for score in present)
        told = statistics.mean(score < line for score in absent)
        gone = statistics.mean(score < line for score in removed)
        print(f"below {line}: answerable {lost:.2f}, unanswerable {told:.2f}, documents taken away {gone:.2f}")
    print(f"search: p50 {statistics.median(times):.0f} ms, p95 {sorted(times)[int(0.95 * len(times))]:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("questions", type=Path)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.data_dir, read_rows(arguments.questions)))
