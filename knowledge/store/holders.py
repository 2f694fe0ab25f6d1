"""To which source a document belongs: one at a time, that which took it first."""

from collections.abc import Collection, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge import schema as t
from knowledge.contracts import StoredDocument
from knowledge.ingest.contracts import HeldElsewhere, Holder
from knowledge.store.access import rules_of
from knowledge.store.database import batches

_ASKED_FOR = 500
"""Up to so many are asked for by name; for more, reading them all is cheaper (an address has no index)."""


async def held_elsewhere(
    connection: AsyncConnection, tenant: str, source: str, uris: Collection[str]
) -> dict[str, Holder]:
    """Which of these belong to another source of the tenant, by uri."""
    if not uris:
        return {}
    query = select(t.document.c.uri, t.document.c.source, t.document.c.aclset).where(
        t.document.c.tenant == tenant, t.document.c.source != source
    )
    if len(uris) <= _ASKED_FOR:
        query = query.where(t.document.c.uri.in_(uris))
    rows = [row for row in await connection.execute(query) if row.uri in uris]
    rules = await rules_of(connection, {row.aclset for row in rows})
    return {row.uri: Holder(source=row.source, access=rules[row.aclset]) for row in rows}


async def refuse_foreign(connection: AsyncConnection, document: StoredDocument) -> None:
    """Raise where the id of a document that is to be kept is that of another source's document."""
    columns = (t.document.c.tenant, t.document.c.source, t.document.c.aclset)
    query = select(*columns).where(t.document.c.document_id == document.document_id)
    row = (await connection.execute(query)).first()
    if row is None or (row.tenant, row.source) == (document.tenant, document.source):
        return
    if row.tenant != document.tenant:
        raise HeldElsewhere(None)
    rules = await rules_of(connection, [row.aclset])
    raise HeldElsewhere(Holder(source=row.source, access=rules[row.aclset]))


async def adopt(connection: AsyncConnection, document_ids: Sequence[str], source: str) -> None:
    """These documents belong to that source from now on; nothing else about them changes."""
    for part in batches(document_ids):
        these = t.document.c.document_id.in_(part)
        rows = await connection.execute(select(t.document.c.document_id, t.document.c.record).where(these))
        for row in rows.all():
            mine = t.document.c.document_id == row.document_id
            values = {"source": source, "record": {**row.record, "source": source}}
            await connection.execute(update(t.document).where(mine).values(**values))
