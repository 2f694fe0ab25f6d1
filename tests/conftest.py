"""What tests of several packages share."""

import os
from collections.abc import Iterator

import pytest
from sqlalchemy.engine import make_url

from tests.postgres import Postgres, PostgresServer


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
