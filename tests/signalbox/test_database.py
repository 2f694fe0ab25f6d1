"""A PostgreSQL that is cut off is given up in seconds, not when the kernel gives up."""

import asyncio
import os
import socket

import pytest
from sqlalchemy.engine import make_url

from signalbox.database import answered, open_engine, patience
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
