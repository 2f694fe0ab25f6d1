"""The schema: made once, checked for nothing, and the same as the tables in code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncEngine

import conversations.tables
import gateway.tables
import inference.batch.tables
import runs.tables
import signalbox.migrations
from signalbox.database import open_engine, sqlite_url
from signalbox.errors import Conflict
from signalbox.migrations import HEAD, migrate
from tests.runs.database import BOTH_DATABASES

TABLES = [
    conversations.tables.metadata,
    runs.tables.metadata,
    gateway.tables.metadata,
    inference.batch.tables.metadata,
]


@pytest.mark.parametrize("backend", BOTH_DATABASES)
async def test_the_migrations_make_what_the_code_declares(backend: str, tmp_path: Path, request: pytest.FixtureRequest):
    postgres = backend == "postgresql"
    url = request.getfixturevalue("postgres_url") if postgres else sqlite_url(tmp_path / "new.sqlite")
    engine = open_engine(url)
    assert await migrate(engine) is True
    assert await migrate(engine) is False

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        merged = sa.MetaData()
        for metadata in TABLES:
            for table in metadata.tables.values():
                table.to_metadata(merged)
        return compare_metadata(context, merged)

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


def test_the_newest_revision_is_the_one_that_start_checks():
    folder = Path(signalbox.migrations.__file__).parent
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


async def test_a_current_database_does_not_load_alembic_at_start(engine: AsyncEngine):
    code = (
        "import asyncio, sys\n"
        "from signalbox.database import open_engine\n"
        "from signalbox.migrations import migrate\n"
        "async def main():\n"
        "    engine = open_engine(sys.argv[1])\n"
        "    print(await migrate(engine), 'alembic' in sys.modules)\n"
        "    await engine.dispose()\n"
        "asyncio.run(main())\n"
    )
    arguments = [sys.executable, "-c", code, engine.url.render_as_string(hide_password=False)]
    root = Path(signalbox.migrations.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=9, check=False, env=environment)
    assert done.stdout.split() == ["False", "False"], done.stderr


async def test_a_database_of_a_newer_version_is_left_alone(engine: AsyncEngine):
    async with engine.begin() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="9999"):
        await migrate(engine)
