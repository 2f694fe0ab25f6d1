"""A new index beside the old one: built while the old one serves, switched by alias, with a way back."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.contracts import Embedder
from knowledge.embed import covers
from knowledge.index.alias import Alias, Aliases
from knowledge.index.dense import DenseIndex
from knowledge.index.integrity import IntegrityJob
from knowledge.schema import chunk, document
from knowledge.store.database import Database, batches
from signalbox.errors import Conflict, SignalboxError, ToolFault

_ROUNDS = 5


class IndexBuilder:
    """Builds, switches and rolls back; what is put meanwhile goes to both collections."""

    def __init__(
        self, database: Database, dense: DenseIndex, aliases: Aliases, integrity: IntegrityJob, embedder: Embedder
    ) -> None:
        self._database = database
        self._dense = dense
        self._aliases = aliases
        self._integrity = integrity
        self._embedder = embedder

    async def renew(self) -> None:
        """Serve every tenant from an index of the present embedder: the one before, if that made it, or a new one."""
        failed: SignalboxError | None = None
        for alias in await self._stale():
            try:
                if alias.previous_embedder == self._embedder.name:
                    await self.roll_back(alias.tenant)
                else:
                    await self.rebuild(alias.tenant)
            except SignalboxError as error:  # the other tenants have their turn first
                failed = error
        if failed is not None:
            raise failed

    async def rebuild(self, tenant: str) -> Alias:
        """Build anew with the present embedder and serve from it. One that was interrupted goes on where it was."""
        async with self._database.write() as connection:
            alias = await self._aliases.begin(connection, tenant, self._embedder.name)
            await self._mark_languages(connection, tenant)
        assert alias.building is not None
        for _ in range(_ROUNDS):
            _, missing, *_ = await self._integrity.mend(tenant, alias.building)
            if not missing:
                break
        else:
            raise ToolFault(f"The new index of tenant {tenant!r} does not fill up.", hint="Is a long ingest running?")
        async with self._database.write() as connection:
            switched = await self._aliases.switch(connection, tenant)
        if alias.previous:
            await self._dense.drop(alias.previous)
        return switched

    async def known(self, tenant: str) -> Alias:
        """What serves a tenant."""
        async with self._database.read() as connection:
            return await self._aliases.known(connection, tenant)

    async def way_back(self, tenant: str) -> Alias:
        """The same, where there is a previous index that this service can ask; `Conflict` where not."""
        async with self._database.read() as connection:
            alias = await self._aliases.way_back(connection, tenant)
        if alias.previous_embedder != self._embedder.name:
            raise Conflict(
                f"The index before, of tenant {tenant!r}, was made by the embedder {alias.previous_embedder!r}; "
                f"this service has {self._embedder.name!r}.",
                hint="Set knowledge.retrieval.embedding back and restart: that index then serves again.",
            )
        return alias

    async def roll_back(self, tenant: str) -> Alias:
        """Serve from the previous index again, once what it missed meanwhile is added."""
        alias = await self.way_back(tenant)
        async with self._database.write() as connection:
            await self._mark_languages(connection, tenant)
        assert alias.previous is not None
        await self._integrity.mend(tenant, alias.previous)
        async with self._database.write() as connection:
            alias = await self._aliases.roll_back(connection, tenant)
        await self._integrity.mend(tenant, alias.current)  # what was put until the switch
        return alias

    async def _stale(self) -> list[Alias]:
        async with self._database.read() as connection:
            return [alias for alias in await self._aliases.all(connection) if alias.embedder != self._embedder.name]

    async def _mark_languages(self, connection: AsyncConnection, tenant: str) -> None:
        """Another embedder may cover other languages."""
        query = (
            select(chunk.c.chunk_id, chunk.c.dense, chunk.c.record, document.c.record.label("parent"))
            .join(document, document.c.document_id == chunk.c.document_id)
            .where(document.c.tenant == tenant)
        )
        changed: dict[int, list[str]] = {0: [], 1: []}
        for row in await connection.execute(query):
            own = row.record["language"]
            wanted = int(covers(self._embedder, own if own != "und" else row.parent["language"]))
            if wanted != row.dense:
                changed[wanted].append(row.chunk_id)
        for dense, names in changed.items():
            for part in batches(names):
                await connection.execute(update(chunk).where(chunk.c.chunk_id.in_(part)).values(dense=dense))
