"""Searches of an ingested folder, kept on disk: composing can be tried again in seconds.

A question is searched for as the engine's tool choice does: once for every part of it.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inference.embedded.arguments.texts import query_text
from inference.embedded.intents import split_intents
from inference.embedded.prompt_reader import ToolResult
from inference.embedded.toolchoice import SEARCH_LIMIT
from knowledge.ingest import IngestPipeline
from knowledge.parse.pool import ParserPool
from knowledge.service import KnowledgeService
from knowledge.settings import KnowledgeSettings, RerankSettings, RetrievalSettings
from knowledge.sources import FolderSource
from mcp_servers.knowledge.models import evidence_of_hits
from signalbox.identity import Principal

_KEPT = 20
Item = dict[str, Any]


class Searches:
    """What the knowledge service found for each query."""

    def __init__(self, found: dict[str, list[Item]]) -> None:
        self._found = found

    def results(self, question: str, *, without: Iterable[str] = (), limit: int = SEARCH_LIMIT) -> list[ToolResult]:
        """The tool results of a question, as if the documents in `without` did not exist."""
        gone = set(without)
        return [
            ToolResult("search", {}, "", False, {"evidence": [e for e in items if e["document"] not in gone][:limit]})
            for items in (self._found[query] for query in queries_of(question))
        ]


def queries_of(question: str) -> list[str]:
    """What is searched for."""
    return [query_text(intent.whole) for intent in split_intents(question, limit=4)]


def read_cases(paths: Iterable[Path]) -> list[Item]:
    """The questions of JSON-lines files."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines() if line.strip()]


def files_of(case: Item) -> set[str]:
    """The documents that are known to answer; the first folder of a path names the set and is dropped."""
    return {item["file"].removeprefix("pages/") for item in case.get("evidence", ())}


async def searched(
    questions: Iterable[str], pages: Path, work: Path, *, fresh: bool = False, judged: bool = True
) -> Searches:
    """Search for all questions, with the judge of passages or without; `pages` is ingested into `work` before."""
    kept = work / "searches.json"
    found: dict[str, list[Item]] = {} if fresh or not kept.exists() else json.loads(kept.read_text())
    missing = [query for question in questions for query in queries_of(question) if query not in found]
    if missing:
        found |= await _search(list(dict.fromkeys(missing)), pages, work, judged=judged)
        kept.write_text(json.dumps(found, ensure_ascii=False))
    return Searches(found)


async def _search(queries: list[str], pages: Path, work: Path, *, judged: bool) -> dict[str, list[Item]]:
    rerank = RerankSettings() if judged else RerankSettings(judged=0)
    settings = KnowledgeSettings(retrieval=RetrievalSettings(rerank=rerank))
    (work / "knowledge").mkdir(parents=True, exist_ok=True)
    service = await KnowledgeService.open(settings.retrieval, work)
    try:
        async with ParserPool(settings.ingest.parse) as pool:
            await IngestPipeline(service.store, pool, settings.ingest).run(FolderSource(pages, name="pages"))
        await service.settled()
        found: dict[str, list[Item]] = {}
        for query in queries:
            hits = (await service.search(Principal(user="eval"), [query], limit=_KEPT)).hits
            found[query] = [item.model_dump(mode="json") for item in evidence_of_hits(hits)]
        return found
    finally:
        await service.close()
