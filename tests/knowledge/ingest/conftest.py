"""What the ingest tests share: a pool of real workers, a record, and a pipeline over a folder."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from memory_record import MemoryRecord

from knowledge.ingest import IngestPipeline, IngestReport
from knowledge.parse.pool import ParserPool
from knowledge.settings import IngestSettings, ParseSettings
from knowledge.sources import FolderSource

SETTINGS = IngestSettings(parse=ParseSettings(workers=1, timeout_s=8))


@pytest.fixture
def record() -> MemoryRecord:
    return MemoryRecord()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One event loop for all tests here, so that they share the parser processes."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def parser() -> AsyncIterator[ParserPool]:
    async with ParserPool(SETTINGS.parse) as pool:
        yield pool


@pytest.fixture
def pipeline(record: MemoryRecord, parser: ParserPool) -> IngestPipeline:
    return IngestPipeline(record, parser, SETTINGS)


@pytest.fixture
def ingest(pipeline: IngestPipeline) -> Callable[[Path], Awaitable[IngestReport]]:
    async def run(folder: Path, **options: object) -> IngestReport:
        return await pipeline.run(FolderSource(folder, name="docs"), **options)  # type: ignore[arg-type]

    return run
