"""What was asked, found, shown and refused: one record for each retrieval, in a chain, without the words of anyone."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.retrieve.chain import PRUNED, ChainCheck, add_columns, digest_of, head_of, verify
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
    """Writes, finds and proves audit records."""

    def __init__(self, database: Database, *, keep_days: int) -> None:
        self._database = database
        self._keep_s = keep_days * _DAY_S

    async def create(self) -> None:
        """Make the table, or what a table of an earlier version lacks."""
        async with self._database.write() as connection:
            await connection.run_sync(lambda sync: retrieval_audit.create(sync, checkfirst=True))
            await connection.run_sync(add_columns)

    async def write(self, retrieval: Retrieval) -> None:
        """Keep one retrieval."""
        best = sorted(retrieval.candidates.items(), key=lambda pair: -pair[1])[:_KEPT_CANDIDATES]
        facts = {
            "run_id": retrieval.run_id,
            "tenant": retrieval.tenant,
            "query_sha256": digest(retrieval.queries),
            "subjects_sha256": digest(sorted(retrieval.subjects)),
            "index_version": retrieval.index_version,
            "candidates": [[name, round(float(score), 4)] for name, score in best],
            "returned": list(retrieval.returned),
            "denied": list(retrieval.denied),
            "answerable": float(retrieval.answerable),
            "duration_ms": float(retrieval.duration_ms),
        }
        async with self._database.write() as connection:
            await _append(connection, "retrieval", facts)

    async def of_run(self, run_id: str) -> list[AuditEntry]:
        """The retrievals of one run, in order."""
        query = select(retrieval_audit).where(retrieval_audit.c.run_id == run_id).order_by(retrieval_audit.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [AuditEntry(**{name: row[name] for name in AuditEntry.__dataclass_fields__}) for row in rows]

    async def verify(self) -> ChainCheck:
        """Prove that nothing was altered, removed or slipped in."""
        async with self._database.read() as connection:
            return await verify(connection)

    async def prune(self) -> None:
        """Drop what is older than the configured days, and say in the chain where it goes on."""
        table = retrieval_audit.c
        kept = select(func.min(table.id)).where(table.at >= time.time() - self._keep_s)
        async with self._database.write() as connection:
            first = (await connection.execute(kept)).scalar()
            old = (table.id < first) if first is not None else (table.at < time.time() - self._keep_s)
            last = select(table.hash).where(old).order_by(table.id.desc()).limit(1)
            head = (await connection.execute(last)).scalar()
            if head is None:
                return
            count = (await connection.execute(select(func.count()).where(old))).scalar_one()
            await _append(connection, PRUNED, _pruned(int(count), head))
            await connection.execute(delete(retrieval_audit).where(old))


async def _append(connection: AsyncConnection, event: str, facts: dict[str, Any]) -> None:
    record = {"at": time.time(), "event": event, **facts, "prev": await head_of(connection)}
    await connection.execute(insert(retrieval_audit).values({**record, "hash": digest_of(record)}))


def _pruned(count: int, head: str) -> dict[str, Any]:
    """A record that tells how many were dropped and the hash of the last of them."""
    nothing = {"run_id": "", "tenant": "", "query_sha256": "", "subjects_sha256": "", "index_version": ""}
    numbers = {"answerable": 0.0, "duration_ms": 0.0}
    return {**nothing, **numbers, "candidates": [["dropped", float(count)]], "returned": [head], "denied": []}


def digest(parts: Iterable[str]) -> str:
    """A hash by which equal lists can be recognised and nothing be read."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()
