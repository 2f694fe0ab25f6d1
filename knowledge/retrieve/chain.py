"""The audit's chain: each record carries the hash of the one before it, so that none can be altered or taken out.

A record's hash is sha256 over all of it but its number. What retention removes from the front is named by a record of
its own, with the hash at which the chain goes on.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.schema import retrieval_audit as table

GENESIS = "0" * 64
PRUNED = "pruned"

_ADDED = ("event", "prev", "hash")
_PAGE = 1_000


@dataclass(frozen=True)
class ChainCheck:
    """What `verify` found; keep `head` elsewhere to prove later that nothing was cut off the end."""

    records: int
    intact: bool
    fault: str = ""
    head: str = GENESIS


def add_columns(connection: Connection) -> None:
    """Give a table of before the chain its columns."""
    there = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for name in _ADDED:
        if name not in there:
            column = table.c[name]
            kind = column.type.compile(connection.dialect)
            default = "retrieval" if name == "event" else ""
            connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {name} {kind} NOT NULL DEFAULT '{default}'"))


async def head_of(connection: AsyncConnection) -> str:
    """The hash of the newest record."""
    newest = select(table.c.hash).order_by(table.c.id.desc()).limit(1)
    return (await connection.execute(newest)).scalar() or GENESIS


def digest_of(record: Mapping[Any, Any]) -> str:
    """The hash of a record."""
    facts = {name: value for name, value in record.items() if name not in ("id", "hash")}
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


async def verify(connection: AsyncConnection) -> ChainCheck:
    """Walk the chain; says where it breaks first."""
    walk = _Walk()
    last = 0
    while True:
        page = select(table).where(table.c.id > last).order_by(table.c.id).limit(_PAGE)
        rows = (await connection.execute(page)).mappings().all()
        for row in rows:
            if fault := walk.step(row):
                return ChainCheck(walk.records, intact=False, fault=fault, head=walk.head or GENESIS)
        if len(rows) < _PAGE:
            break
        last = rows[-1]["id"]
    if walk.anchor != GENESIS and walk.anchor not in walk.named:
        fault = "records were taken out of the front, and no record says so"
        return ChainCheck(walk.records, intact=False, fault=fault, head=walk.head or GENESIS)
    return ChainCheck(walk.records, intact=True, head=walk.head or GENESIS)


class _Walk:
    """Where the walk is: the last hash, where the chain began, and the beginnings that pruning has named."""

    def __init__(self) -> None:
        self.records = 0
        self.head: str | None = None
        self.anchor = GENESIS
        self.named: set[str] = set()

    def step(self, row: Mapping[Any, Any]) -> str:
        """The fault at this record, or nothing."""
        if self.head is None and not row["hash"]:
            return ""  # of before the chain
        if self.head is None:
            self.anchor = row["prev"]
        elif row["prev"] != self.head:
            return f"record {row['id']} does not follow the one before it"
        if row["hash"] != digest_of(row):
            return f"record {row['id']} was altered"
        if row["event"] == PRUNED:
            self.named.update(row["returned"])
        self.head = row["hash"]
        self.records += 1
        return ""
