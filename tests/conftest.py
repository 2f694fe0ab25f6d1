"""What tests of several packages share."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.postgres import Postgres, PostgresServer
from tests.runs.database import BOTH_DATABASES, discard, fresh_engine, fresh_postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A server for this run; `SIGNALBOX_TEST_POSTGRES_URL` names another one, whose role may create databases."""
    if url := os.environ.get("SIGNALBOX_TEST_POSTGRES_URL"):
        yield Postgres(make_url(url).set(drivername="postgresql"))
        return
    server = PostgresServer()
    yield Postgres(server.url)
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """A new, empty database."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=BOTH_DATABASES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A real database for each test: a SQLite file, and a PostgreSQL."""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        engine = await fresh_postgres(server)
        yield engine
        await discard(server, engine)
    else:
        engine = await fresh_engine(tmp_path)
        yield engine
        await engine.dispose()
