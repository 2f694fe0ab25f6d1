"""A real database for each test: a SQLite file, and a PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.runs.database import BOTH_DATABASES, discard, fresh_engine, fresh_postgres


@pytest.fixture(params=BOTH_DATABASES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        engine = await fresh_postgres(server)
        yield engine
        await discard(server, engine)
    else:
        engine = await fresh_engine(tmp_path)
        yield engine
        await engine.dispose()
