"""The same answers from PostgreSQL, through its own locks."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from demo.database import build_operations
from mcp_servers.operations import OperationsSettings
from mcp_servers.operations.opening import open_service
from mcp_servers.operations.reader import Limits, Statement, open_reader
from mcp_servers.operations.service import OperationsService
from signalbox.errors import SignalboxError, UpstreamDown, UserFault
from signalbox.identity import Principal
from tests.mcp_servers.operations.conftest import CANARY, TODAY
from tests.mcp_servers.operations.test_operations_injection import CORPUS
from tests.postgres import Postgres

pytestmark = [
    pytest.mark.timeout(60),
    # psycopg does not mark a server-side cursor as closed when its transaction failed; nothing is left open there.
    pytest.mark.filterwarnings("ignore:.*ServerCursorMixin:pytest.PytestUnraisableExceptionWarning"),
]
COUNTS = "SELECT COUNT(*), (SELECT COUNT(*) FROM orders), (SELECT SUM(on_hand) FROM stock) FROM people"
STAFF = Principal(user="ada", groups=frozenset({"staff", "operations", "finance", "managers", "people"}))
LIMITS = Limits(timeout_s=0.5, max_rows=10, max_bytes=10_000, max_cell_chars=100)


def run(url: str, sql: str) -> list[Any]:
    import sqlalchemy as sa

    engine = sa.create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            result = connection.exec_driver_sql(sql)
            return list(result) if result.returns_rows else []
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def loaded(postgres_server: Postgres) -> Iterator[str]:
    url = postgres_server.create()
    build_operations(str(make_url(url).set(drivername="postgresql+psycopg")))
    run(url, "CREATE TABLE payroll (person TEXT, note TEXT)")
    run(url, "CREATE SEQUENCE counter")
    run(url, f"INSERT INTO payroll VALUES ('Ada', '{CANARY}')")
    yield url
    postgres_server.drop(url)


@pytest.fixture
async def postgres(loaded: str) -> AsyncIterator[OperationsService]:
    service = await open_service(OperationsSettings(url=SecretStr(loaded), today=TODAY, statement_timeout_s=2.0))
    yield service
    await service.close()


async def test_every_metric_says_the_same_as_on_sqlite(postgres: OperationsService, ask: Any):
    different = []
    for name, metric in postgres.catalogue.metrics.items():
        if name == "people_by_salary_band":  # the canary is in the other database only
            continue
        query: dict[str, Any] = {"metric": name}
        for key, parameter in metric.parameters.items():
            if parameter.required:
                query[key] = parameter.examples[-1] if parameter.examples else ask.service.choices[name][key].values[0]
        here = await postgres.query_metric(STAFF, query, None)
        there = await ask.service.query_metric(STAFF, query, None)
        if here.rows != there.rows or here.summary != there.summary:
            rows = [(a, b) for a, b in zip(here.rows, there.rows, strict=False) if a != b]
            different.append((name, rows[:2]))
    assert different == []


async def test_selects_run_and_refuse_as_on_sqlite(postgres: OperationsService):
    sql = "SELECT site, COUNT(*) AS n, '50%: a' FROM people WHERE role LIKE '%planner%' GROUP BY site ORDER BY site"
    table = await postgres.run_select(Principal(user="x", groups=frozenset({"staff"})), sql, None)
    assert [tuple(row.values()) for row in table.rows] == [("Ghent", 2, "50%: a"), ("Porto", 1, "50%: a")]
    with pytest.raises(UserFault, match="salary_band"):
        await postgres.run_select(
            Principal(user="x", groups=frozenset({"staff"})), "SELECT salary_band FROM people", None
        )


async def test_no_hostile_statement_writes_or_leaks(postgres: OperationsService, loaded: str):
    before = run(loaded, COUNTS)
    staff = Principal(user="ada", groups=frozenset({"staff"}))
    for sql in CORPUS:
        try:
            table = await postgres.run_select(staff, sql, None)
        except SignalboxError:
            continue
        assert CANARY not in table.model_dump_json()
    assert run(loaded, COUNTS) == before


async def test_the_connection_itself_cannot_write_and_ends_at_its_deadline(loaded: str):
    reader = open_reader(loaded, max_parallel=1)
    with pytest.raises(UserFault, match="read-only transaction"):
        await reader.fetch(Statement(sql="SELECT nextval('counter')", binds={}, reads=None), LIMITS)
    for sql in ("DELETE FROM stock", "CREATE TABLE x (a INT)", "SELECT * INTO stolen FROM people"):
        with pytest.raises(UserFault, match="refused the statement"):
            await reader.fetch(Statement(sql=sql, binds={}, reads=None), LIMITS)
    with pytest.raises(UserFault, match="was stopped"):
        await reader.fetch(Statement(sql="SELECT pg_sleep(20)", binds={}, reads=None), LIMITS)
    page = await reader.fetch(
        Statement(sql="SELECT order_id FROM orders ORDER BY 1", binds={}, reads=None, offset=3), LIMITS
    )
    assert (len(page.rows), page.more, json.dumps(page.rows[0])) == (10, True, '["SO-2025-00004"]')
    await reader.close()


async def test_a_database_that_is_away_is_said_to_be_away():
    reader = open_reader("postgresql://nobody@127.0.0.1:1/none", max_parallel=1)
    with pytest.raises(UpstreamDown, match="does not answer"):
        await reader.fetch(Statement(sql="SELECT 1", binds={}, reads=None), LIMITS)
    await reader.close()
