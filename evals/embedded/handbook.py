"""Questions on a folder of documents, from retrieval to the engine's reply, without the rest of the system.

`python -m evals.embedded.handbook DATA/tts-handbook --work DIR [--show odd]`. The first run ingests into DIR. A right
answer holds one string of every group of `answer_any`, ignoring case; an unanswerable question is right when declined.
Odd lines of the question file were used to tune, even lines were not.
"""

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from evals.embedded.common import embedder
from inference.embedded import EmbeddedEngine
from inference.embedded.arguments.texts import query_text
from inference.embedded.compose.evidence import gather
from inference.embedded.compose.passages import Answer
from inference.embedded.intents import split_intents
from inference.embedded.prompt_reader import ToolResult
from inference.embedded.toolchoice import SEARCH_LIMIT
from knowledge.ingest import IngestPipeline
from knowledge.parse.pool import ParserPool
from knowledge.service import KnowledgeService
from knowledge.settings import KnowledgeSettings
from knowledge.sources import FolderSource
from mcp_servers.knowledge.models import evidence_of_hits
from signalbox.identity import Principal


async def found_for(service: KnowledgeService, question: str) -> list[ToolResult]:
    """One search for every part of the question, as the engine's tool choice makes them."""
    results = []
    for intent in split_intents(question, limit=4):
        found = await service.search(Principal(user="eval"), [query_text(intent.whole)], limit=SEARCH_LIMIT)
        evidence = [item.model_dump(mode="json") for item in evidence_of_hits(found.hits)]
        results.append(ToolResult("search", {}, "", False, {"evidence": evidence, "answerable": found.answerable}))
    return results


def is_right(row: dict[str, Any], text: str) -> bool:
    """Whether one string of every group occurs."""
    return all(any(part.lower() in text.lower() for part in group) for group in row["answer_any"])


def report(name: str, rows: list[tuple[dict[str, Any], Answer, bool, float]]) -> None:
    """One line of figures."""
    answerable = [row for row in rows if row[0]["answer_any"]]
    others = [row for row in rows if not row[0]["answer_any"]]
    right = np.mean([is_right(case, answer.text) and not answer.declined for case, answer, _, _ in answerable])
    reach = np.mean([reachable for _, _, reachable, _ in answerable])
    refused = np.mean([answer.declined for _, answer, _, _ in answerable])
    declined = np.mean([answer.declined for _, answer, _, _ in others]) if others else float("nan")
    times = [ms for *_, ms in rows]
    print(
        f"{name} (n={len(rows)}): right {right:.3f} (all passages together hold {reach:.3f}), answerable declined "
        f"{refused:.3f}, unanswerable declined {declined:.3f}, "
        f"answer median {np.median([len(answer.text) for _, answer, _, _ in rows]):.0f} "
        f"chars, composing CPU p50 {np.median(times):.0f} ms, p95 {np.quantile(times, 0.95):.0f} ms"
    )


async def run(data: Path, work: Path, *, show: bool) -> None:
    """Ingest when needed, ask everything, print by half."""
    settings = KnowledgeSettings()
    (work / "knowledge").mkdir(parents=True, exist_ok=True)
    service = await KnowledgeService.open(settings.retrieval, work)
    try:
        pool = ParserPool(settings.ingest.parse)
        async with pool:
            await IngestPipeline(service.store, pool, settings.ingest).run(FolderSource(data / "pages", name="pages"))
        await service.settled()
        engine = EmbeddedEngine(embedder())
        rows = []
        for line in (data / "questions-dev.jsonl").read_text().splitlines():
            case = json.loads(line)
            results = await found_for(service, case["question"])
            evidence = gather(results, max_chars=engine.settings.max_evidence_chars)
            started = time.process_time()
            answer = await engine.passages.answer(case["question"], evidence)
            took = (time.process_time() - started) * 1000
            rows.append((case, answer, is_right(case, " ".join(each.text for each in evidence.passages)), took))
            if show and len(rows) % 2:
                print(f"{case['id']} {case['question']}\n  {answer.text!r}")
    finally:
        await service.close()
    report("odd lines (tuned on)", rows[0::2])
    report("even lines (held out)", rows[1::2])
    report("all", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--show", action="store_true")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.data, arguments.work, show=arguments.show))
