"""Ingest in this process, while no server holds the index."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from knowledge.contracts import AccessRule
from knowledge.ingest import IngestPipeline, IngestReport, OnProgress
from knowledge.parse.pool import ParserPool
from knowledge.service import KnowledgeService
from knowledge.sources.folder import FolderSource
from signalbox.settings import Settings


@dataclass(frozen=True)
class Ingest:
    """What to take in, for whom, and under which name it is remembered: its real path, where none is given."""

    folder: Path
    access: tuple[str, ...]
    dry_run: bool = False
    name: str = ""


async def ingest_folder(settings: Settings, ingest: Ingest, *, on_progress: OnProgress | None = None) -> IngestReport:
    """Make the record hold what the folder has now; raises `UserFault` when the index is another process's."""
    access = AccessRule(allow=frozenset(ingest.access))
    source = await asyncio.to_thread(FolderSource, ingest.folder, name=ingest.name, access=access)
    service = await KnowledgeService.open(settings.knowledge.retrieval, settings.data_dir)
    try:
        async with ParserPool(settings.knowledge.ingest.parse) as parser:
            pipeline = IngestPipeline(service.store, parser, settings.knowledge.ingest)
            return await pipeline.run(source, dry_run=ingest.dry_run, on_progress=on_progress)
    finally:
        await service.close()
