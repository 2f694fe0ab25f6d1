"""What was asked, found, shown and refused: one row for each retrieval, without the words of anyone."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select

from knowledge.schema import retrieval_audit
from knowledge.store.database import Database

_KEPT_CANDIDATES = 30
_DAY_S = 86_400


@dataclass(frozen=True)
class Retrieval:
    """One retrieval as the audit keeps it; `denied`: what an index still offered and the record refused."""

    run_id: str
    tenant: str
    queries: Sequence[str]
    subjects: frozenset[str]
    index_version: str
    candidates: Mapping[str, float]
    returned: Sequence[str]
    denied: Sequence[str]
    answerable: float
    duration_ms: float


@dataclass(frozen=True)
class AuditEntry:
    """A stored row."""

    at: float
    run_id: str
    tenant: str
    query_sha256: str
    subjects_sha256: str
    index_version: str
    candidates: list[list[Any]] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    answerable: float = 0
    duration_ms: float = 0


class RetrievalAudit:
    """Writes and finds audit rows."""

    def __init__(self, database: Database, *, keep_days: int) -> None:
        self._database = database
        self._keep_s = keep_days * _DAY_S

    async def write(self, retrieval: Retrieval) -> None:
        """Keep one retrieval."""
        best = sorted(retrieval.candidates.items(), key=lambda pair: -pair[1])[:_KEPT_CANDIDATES]
        values = {
            "at": time.time(),
            "run_id": retrieval.run_id,
            "tenant": retrieval.tenant,
            "query_sha256": digest(retrieval.queries),
            "subjects_sha256": digest(sorted(retrieval.subjects)),
            "index_version": retrieval.index_version,
            "candidates": [[name, round(score, 4)] for name, score in best],
            "returned": list(retrieval.returned),
            "denied": list(retrieval.denied),
            "answerable": retrieval.answerable,
            "duration_ms": retrieval.duration_ms,
        }
        async with self._database.write() as connection:
            await connection.execute(insert(retrieval_audit).values(values))

    async def of_run(self, run_id: str) -> list[AuditEntry]:
        """The retrievals of one run, in order."""
        query = select(retrieval_audit).where(retrieval_audit.c.run_id == run_id).order_by(retrieval_audit.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [AuditEntry(**{name: row[name] for name in AuditEntry.__dataclass_fields__}) for row in rows]

    async def prune(self) -> None:
        """Drop what is older than the configured days."""
        async with self._database.write() as connection:
            await connection.execute(delete(retrieval_audit).where(retrieval_audit.c.at < time.time() - self._keep_s))


def digest(parts: Iterable[str]) -> str:
    """A hash by which equal lists can be recognised and nothing be read."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()
