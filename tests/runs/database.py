"""A migrated SQLite file for each test, copied from one that is migrated once."""

import asyncio
import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from signalbox.database import open_engine, sqlite_url
from signalbox.migrations import migrate


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "template.sqlite"

    async def make() -> None:
        engine = open_engine(sqlite_url(path))
        await migrate(engine)
        await engine.dispose()

    asyncio.run(make())
    return path


async def fresh_engine(folder: Path) -> AsyncEngine:
    """An engine on a database of the current schema, empty."""
    template = await asyncio.to_thread(_template)
    path = folder / "app.sqlite"
    if not path.exists():
        shutil.copy(template, path)
    return open_engine(sqlite_url(path))
