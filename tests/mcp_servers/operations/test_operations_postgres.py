"""The same answers from PostgreSQL, through its own locks."""

import asyncio
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


@pytest.mark.parametrize(
    ("sql", "offset"),
    [
        pytest.param("SELECT pg_sleep(50)", 0, id="one long statement"),
        # A request to cancel does nothing when it finds the server between two of them.
        pytest.param("SELECT generate_series(1, 500000000)", 500_000_000, id="many short ones"),
    ],
)
async def test_a_cancelled_call_ends_at_the_server_and_its_connection_serves_nobody_else(
    loaded: str, sql: str, offset: int
):
    at_work = (
        "SELECT COUNT(*) FROM pg_stat_activity WHERE state <> 'idle' AND datname = current_database() "
        "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )

    async def until(running: int) -> None:
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(run, loaded, at_work))[0][0] != running:
                await asyncio.sleep(0.05)

    reader = open_reader(loaded, max_parallel=1)
    patient = Limits(timeout_s=60, max_rows=10, max_bytes=10_000, max_cell_chars=100)
    call = asyncio.create_task(reader.fetch(Statement(sql=sql, binds={}, reads=None, offset=offset), patient))
    await until(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(0)
    page = await reader.fetch(Statement(sql="SELECT 1 AS one", binds={}, reads=None), patient)
    assert page.rows == [(1,)]
    await reader.close()


async def test_rows_are_limited_to_the_askers_own_by_bound_values(postgres: OperationsService):
    sql = "SELECT DISTINCT region FROM customers ORDER BY region"
    partner = Principal(user="joana", groups=frozenset({"partners", "region:Iberia", "region:x') OR ('1'='1"}))
    own = await postgres.run_select(partner, sql, None)
    assert [tuple(row.values()) for row in own.rows] == [("Iberia",)]
    nobody = Principal(user="joana", groups=frozenset({"partners"}))
    assert (await postgres.run_select(nobody, sql, None)).rows == []


async def test_a_long_result_goes_on_where_the_cursor_says(postgres: OperationsService):
    sql = "SELECT order_id FROM orders ORDER BY order_id"
    first = await postgres.run_select(STAFF, sql, None)
    then = await postgres.run_select(STAFF, sql, first.next_cursor)
    ids = [str(row["order_id"]) for row in (*first.rows, *then.rows)]
    assert first.truncated
    assert ids == sorted(set(ids))
    with pytest.raises(UserFault, match="belongs to another query"):
        await postgres.run_select(STAFF, f"{sql} DESC", first.next_cursor)


async def test_a_database_that_is_away_is_said_to_be_away():
    reader = open_reader("postgresql://nobody@127.0.0.1:1/none", max_parallel=1)
    with pytest.raises(UpstreamDown, match="does not answer"):
        await reader.fetch(Statement(sql="SELECT 1", binds={}, reads=None), LIMITS)
    await reader.close()
