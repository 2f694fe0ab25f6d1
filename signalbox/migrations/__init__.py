"""Is the database's schema the one that this version needs? `migrate` makes it so.

When nothing is to be done, Alembic is not even imported: one query at start.
"""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from signalbox.errors import Conflict

HEAD = "0003"
"""The newest revision under `versions/`; a test holds the two together."""

_LOCK = 7_301_144_268  # PostgreSQL advisory lock: replicas that start together migrate one after the other


async def migrate(engine: AsyncEngine) -> bool:
    """Bring the schema to `HEAD`; True when something was done. Raises `Conflict` when the database is newer."""
    async with engine.connect() as connection:
        if await _revision(connection) == HEAD:
            return False
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        current = await _revision(connection)
        if current == HEAD:
            return False
        await connection.run_sync(_upgrade, current)
    return True


async def _revision(connection: AsyncConnection) -> str | None:
    if not await connection.run_sync(lambda sync: sa.inspect(sync).has_table("alembic_version")):
        return None
    return (await connection.execute(sa.text("SELECT version_num FROM alembic_version"))).scalar()


def _upgrade(connection: sa.Connection, current: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise Conflict(
            f"The database has schema revision {current!r}, which this version of Signalbox does not know.",
            hint=f"Start the newer version that made it, or restore a backup of revision {HEAD!r}.",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
