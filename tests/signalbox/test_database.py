"""A PostgreSQL that is cut off is given up in seconds, not when the kernel gives up."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from signalbox.database import answered, open_engine, patience, sqlite_url, writing
from signalbox.errors import UpstreamDown


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="The platform has no such option.")
async def test_connections_to_postgresql_notice_that_their_server_is_cut_off(postgres_url: str):
    engine = open_engine(postgres_url)
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as copy:
            alive = copy.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
            found = [copy.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
    await engine.dispose()
    assert (bool(alive), found) == (True, [15, 5, 3, 30_000])


def test_what_the_url_says_goes_first_and_other_drivers_get_nothing():
    assert "keepalives_idle" not in patience(make_url("postgresql://db/x?keepalives_idle=60"))
    assert patience(make_url("postgresql+psycopg2://db/x"))["tcp_user_timeout"] == 30_000
    assert patience(make_url("postgresql+pg8000://db/x")) == {}
    assert patience(make_url("mysql+pymysql://db/x")) == {}


async def test_work_that_will_not_end_is_left_behind():
    ending = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await ending.wait()

    with pytest.raises(UpstreamDown, match="did not answer"):
        await answered(stubborn(), 0.01)
    ending.set()


async def test_whoever_is_cancelled_takes_the_work_along():
    begun, over = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            over.set()

    waiting = asyncio.create_task(answered(work(), 60))
    await begun.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await over.wait()


@pytest.mark.timeout(60)
async def test_a_cancelled_write_lets_the_next_one_in_though_its_error_is_kept(tmp_path: Path):
    engine = open_engine(sqlite_url(tmp_path / "one.db"))
    begun = asyncio.Event()

    async def write() -> None:
        async with writing(engine) as connection:
            await connection.exec_driver_sql("CREATE TABLE never (n INTEGER)")
            begun.set()
            numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500000)"
            await connection.exec_driver_sql(f"{numbers} SELECT n FROM c ORDER BY -n")

    task = asyncio.create_task(write())
    await begun.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as kept:
        await task
    async with asyncio.timeout(5), writing(engine) as connection:
        await connection.exec_driver_sql("CREATE TABLE never (n INTEGER)")
    assert kept.traceback
    await engine.dispose()
