"""Which collection serves a tenant, which one is being built beside it, and the way back."""

import time
from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.index.dense import collection_name
from knowledge.schema import index_alias
from signalbox.errors import Conflict, NotFound


@dataclass(frozen=True)
class Alias:
    """One tenant's collections; names end in a generation that rises with each rebuild."""

    tenant: str
    current: str
    embedder: str
    previous: str | None = None
    previous_embedder: str | None = None
    building: str | None = None
    building_embedder: str | None = None

    @property
    def collections(self) -> list[str]:
        """Every collection that holds rows of this tenant."""
        return [name for name in (self.current, self.building, self.previous) if name]

    def fed_by(self, embedder: str) -> list[str]:
        """Collections that take vectors of this embedder."""
        pairs = ((self.current, self.embedder), (self.building, self.building_embedder))
        return [name for name, made_by in pairs if name and made_by == embedder]


class Aliases:
    """Reads and switches aliases within the caller's transaction."""

    def __init__(self, realm: str) -> None:
        self._realm = realm

    async def all(self, connection: AsyncConnection) -> list[Alias]:
        """Every tenant that has an index."""
        return [_alias(row) for row in await connection.execute(select(index_alias))]

    async def find(self, connection: AsyncConnection, tenant: str) -> Alias | None:
        """A tenant's alias, if it has an index."""
        row = (await connection.execute(select(index_alias).where(index_alias.c.tenant == tenant))).first()
        return _alias(row) if row else None

    async def known(self, connection: AsyncConnection, tenant: str) -> Alias:
        """A tenant's alias; it must have an index."""
        alias = await self.find(connection, tenant)
        if alias is None:
            raise NotFound(f"Tenant {tenant!r} has no index.", hint="It gets one with its first document.")
        return alias

    async def ensure(self, connection: AsyncConnection, tenant: str, embedder: str) -> Alias:
        """A tenant's alias, made for this embedder when there is none."""
        found = await self.find(connection, tenant)
        if found is not None:
            return found
        alias = Alias(tenant, self._name(tenant, embedder, 1), embedder)
        values = {"tenant": tenant, "current": alias.current, "embedder": embedder, "switched_at": time.time()}
        await connection.execute(insert(index_alias).values(values))
        return alias

    async def begin(self, connection: AsyncConnection, tenant: str, embedder: str) -> Alias:
        """Note that a new collection is being built; a build that was begun for the same embedder goes on."""
        alias = await self.ensure(connection, tenant, embedder)
        if alias.building and alias.building_embedder == embedder:
            return alias
        name = self._name(tenant, embedder, max(map(_generation, alias.collections)) + 1)
        await self._set(connection, tenant, building=name, building_embedder=embedder)
        return await self.ensure(connection, tenant, embedder)

    async def switch(self, connection: AsyncConnection, tenant: str) -> Alias:
        """Serve from the collection that was built; the old one becomes the way back."""
        alias = await self.known(connection, tenant)
        if alias.building is None:
            raise Conflict(f"No index is being built for tenant {tenant!r}.")
        await self._set(
            connection,
            tenant,
            current=alias.building,
            embedder=alias.building_embedder,
            previous=alias.current,
            previous_embedder=alias.embedder,
            building=None,
            building_embedder=None,
            switched_at=time.time(),
        )
        return await self.known(connection, tenant)

    async def way_back(self, connection: AsyncConnection, tenant: str) -> Alias:
        """A tenant's alias, where it has a previous collection."""
        alias = await self.known(connection, tenant)
        if alias.previous is None:
            raise Conflict(
                f"Tenant {tenant!r} has no index before this one to go back to.",
                hint="There is one after a rebuild, or after the embedder was changed.",
            )
        return alias

    async def roll_back(self, connection: AsyncConnection, tenant: str) -> Alias:
        """Serve from the previous collection again; doing so twice returns to where it was."""
        alias = await self.way_back(connection, tenant)
        await self._set(
            connection,
            tenant,
            current=alias.previous,
            embedder=alias.previous_embedder,
            previous=alias.current,
            previous_embedder=alias.embedder,
            switched_at=time.time(),
        )
        return await self.known(connection, tenant)

    async def _set(self, connection: AsyncConnection, tenant: str, **values: object) -> None:
        await connection.execute(update(index_alias).where(index_alias.c.tenant == tenant).values(**values))

    def _name(self, tenant: str, embedder: str, generation: int) -> str:
        return f"{collection_name(tenant, self._realm, embedder)}_{generation}"


def _generation(name: str) -> int:
    return int(name.rsplit("_", 1)[1])


def _alias(row: object) -> Alias:
    fields = ("tenant", "current", "embedder", "previous", "previous_embedder", "building", "building_embedder")
    return Alias(**{name: getattr(row, name) for name in fields})
