"""A migrated database for each test, copied from one that is migrated once: a SQLite file, or one in PostgreSQL."""

import asyncio
import atexit
import functools
import shutil
import tempfile
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from signalbox.database import open_engine, sqlite_url
from signalbox.migrations import migrate
from tests.postgres import Postgres

# The first test that needs PostgreSQL waits until it runs, which takes seconds on a busy machine.
BOTH_DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.timeout(60))]


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "template.sqlite"
    asyncio.run(_migrated(sqlite_url(path)))
    return path


@functools.cache
def _postgres_template(server: Postgres) -> str:
    url = server.create()
    asyncio.run(_migrated(url))
    return str(make_url(url).database)


async def _migrated(url: str) -> None:
    engine = open_engine(url)
    await migrate(engine)
    await engine.dispose()


async def fresh_engine(folder: Path) -> AsyncEngine:
    """An engine on a database of the current schema, empty."""
    template = await asyncio.to_thread(_template)
    path = folder / "app.sqlite"
    if not path.exists():
        shutil.copy(template, path)
    return open_engine(sqlite_url(path))


async def fresh_postgres(server: Postgres) -> AsyncEngine:
    """An engine on a new PostgreSQL database of the current schema, empty; `discard` removes it."""
    template = await asyncio.to_thread(_postgres_template, server)
    return open_engine(await asyncio.to_thread(server.create, template))


async def discard(server: Postgres, engine: AsyncEngine) -> None:
    """Close an engine of `fresh_postgres` and remove its database."""
    await engine.dispose()
    await asyncio.to_thread(server.drop, engine.url.render_as_string(hide_password=False))
