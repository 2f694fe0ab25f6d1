"""The record of retrievals proves that nobody has touched it."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from knowledge.retrieve.chain import GENESIS
from knowledge.schema import retrieval_audit as table
from knowledge.service import KnowledgeService
from knowledge.settings import RetrievalSettings
from tests.knowledge.retrieval.helpers import ADA, LEAVE, WordEmbedder


@pytest.fixture
async def asked(service: KnowledgeService) -> KnowledgeService:
    """A service with four records."""
    await service.store.put(*LEAVE)
    for question in ("parental leave", "sick leave", "doctor", "weeks"):
        await service.search(ADA, [question], run_id="run_1")
    return service


async def _change(service: KnowledgeService, statement: object) -> None:
    async with service._database.write() as connection:
        await connection.execute(statement)


async def test_the_chain_of_what_was_asked_is_whole(asked: KnowledgeService) -> None:
    found = await asked.verify_audit()
    assert (found.records, found.intact, found.fault) == (4, True, "")
    assert found.head != GENESIS
    await asked.search(ADA, ["more"])
    assert (await asked.verify_audit()).head != found.head


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (update(table).where(table.c.id == 2).values(denied=["x"]), "record 2 was altered"),
        (update(table).where(table.c.id == 3).values(at=1.0), "record 3 was altered"),
        (delete(table).where(table.c.id == 2), "record 3 does not follow the one before it"),
        (delete(table).where(table.c.id <= 2), "records were taken out of the front, and no record says so"),
    ],
)
async def test_a_record_that_was_touched_is_found(asked: KnowledgeService, change: object, fault: str) -> None:
    await _change(asked, change)
    found = await asked.verify_audit()
    assert (found.intact, found.fault) == (False, fault)


async def test_what_retention_removes_leaves_a_chain_that_says_so(asked: KnowledgeService) -> None:
    asked._audit._keep_s = 0.0
    await asked._audit.prune()
    found = await asked.verify_audit()
    assert (found.records, found.intact) == (1, True)
    await asked.search(ADA, ["parental leave"])
    await asked._audit.prune()
    assert (await asked.verify_audit()).intact
    assert await asked.audit("run_1") == []


async def test_a_record_of_before_the_chain_goes_on_as_one(tmp_path: Path) -> None:
    service = await KnowledgeService.open(RetrievalSettings(), tmp_path, WordEmbedder())
    await service.store.put(*LEAVE)
    await service.search(ADA, ["parental leave"])
    await service.close()
    with sqlite3.connect(tmp_path / "knowledge" / "record.db") as record:
        for column in ("event", "prev", "hash"):
            record.execute(f"ALTER TABLE knowledge_retrieval_audit DROP COLUMN {column}")
    record.close()
    again = await KnowledgeService.open(RetrievalSettings(), tmp_path, WordEmbedder())
    await again.search(ADA, ["sick leave"])
    found = await again.verify_audit()
    await again.close()
    assert (found.records, found.intact) == (1, True)
