"""Under which access sets rows of the record stand, and what else has to hear of a change."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge import schema as t
from knowledge.contracts import AccessRule
from knowledge.index.lexical import LexicalIndex
from knowledge.sources.access import narrow
from knowledge.store.access import intern_rule, rules_of
from knowledge.store.database import batches


@dataclass(frozen=True)
class Relabelled:
    """A document whose access set is another one now; its vectors are still labelled with the old one."""

    tenant: str
    aclset: int
    vectors: list[str]


async def live_rows(connection: AsyncConnection, document_id: str) -> list[int]:
    """Rows of the lexical index of a document."""
    live = select(t.chunk.c.seq).where(t.chunk.c.document_id == document_id, t.chunk.c.state == "live")
    return list((await connection.execute(live)).scalars())


async def dense_ids(connection: AsyncConnection, document_id: str) -> list[str]:
    """Ids of a document in the dense index."""
    query = select(t.chunk.c.chunk_id).where(t.chunk.c.document_id == document_id, t.chunk.c.dense == 1)
    return list((await connection.execute(query)).scalars())


async def narrow_rules(
    connection: AsyncConnection, lexical: LexicalIndex, rules: Mapping[str, AccessRule]
) -> list[Relabelled]:
    """Leave of each document's rule what another rule allows as well; only those that got narrower are returned."""
    columns = (t.document.c.document_id, t.document.c.tenant, t.document.c.aclset)
    changed: list[Relabelled] = []
    for part in batches(rules):
        rows = (await connection.execute(select(*columns).where(t.document.c.document_id.in_(part)))).all()
        before = await rules_of(connection, {row.aclset for row in rows})
        for row in rows:
            rule = narrow(before[row.aclset], rules[row.document_id])
            aclset = await intern_rule(connection, row.tenant, rule)
            if aclset == row.aclset:
                continue
            mine = t.document.c.document_id == row.document_id
            await connection.execute(update(t.document).where(mine).values(aclset=aclset))
            await lexical.relabel(connection, await live_rows(connection, row.document_id))
            changed.append(Relabelled(row.tenant, aclset, await dense_ids(connection, row.document_id)))
    return changed
