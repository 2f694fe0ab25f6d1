"""What operators do: bring a folder in, take a source out. The server process owns the index, so it does the work."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from knowledge.contracts import AccessRule
from knowledge.ingest import IngestReport, OnProgress
from knowledge.service import KnowledgeService
from knowledge.settings import IngestSettings


@dataclass(frozen=True)
class FolderRequest:
    """Which folder, under which name, for whom."""

    path: Path
    name: str
    access: AccessRule


class IngestDesk:
    """Runs the pipeline on the service's store."""

    def __init__(self, service: KnowledgeService, settings: IngestSettings) -> None:
        self._service = service
        self._settings = settings

    async def ingest_folder(
        self, folder: FolderRequest, *, tenant: str, dry_run: bool, on_progress: OnProgress
    ) -> IngestReport:
        """Make the record hold what a folder has now."""
        from knowledge.ingest import IngestPipeline
        from knowledge.parse.pool import ParserPool
        from knowledge.sources.folder import FolderSource

        async with ParserPool(self._settings.parse) as parser:
            pipeline = IngestPipeline(self._service.store, parser, self._settings)
            source = await asyncio.to_thread(FolderSource, folder.path, name=folder.name, access=folder.access)
            return await pipeline.run(source, dry_run=dry_run, on_progress=on_progress, tenant=tenant)

    async def keep_sources_up(self) -> None:
        """Read the configured sources, each at its own interval, until cancelled; nothing when there are none."""
        if not self._settings.sources:
            return
        from knowledge.ingest import IngestPipeline
        from knowledge.ingest.schedule import IngestSchedule
        from knowledge.parse.pool import ParserPool

        async with ParserPool(self._settings.parse) as parser:
            pipeline = IngestPipeline(self._service.store, parser, self._settings)
            await IngestSchedule(pipeline, self._settings.sources).run_forever()

    async def documents_of(self, name: str, *, tenant: str) -> list[str]:
        """Ids of the documents of a tenant's source; another tenant's is not there."""
        return await self._service.store.ids_of(tenant, name)

    async def remove_source(self, name: str, *, tenant: str) -> int:
        """Forget every document of a source; how many there were."""
        documents = await self.documents_of(name, tenant=tenant)
        for document_id in documents:
            await self._service.store.remove(document_id)
        return len(documents)
