"""Short transactions: grouped where that is cheaper, never mixed up."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from signalbox.database import open_engine, sqlite_url, writing
from signalbox.transactions import Job, change, look

NOTES = sa.Table("note", sa.MetaData(), sa.Column("name", sa.String, primary_key=True))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(sqlite_url(tmp_path / "notes.db"))
    await change(engine, NOTES.metadata.create_all)
    yield engine
    await engine.dispose()


def adding(name: str) -> Job[str]:
    def add(connection: sa.Connection) -> str:
        connection.execute(sa.insert(NOTES), {"name": name})
        return name

    return add


async def names(engine: AsyncEngine) -> list[str]:
    return await look(engine, lambda connection: list(connection.execute(sa.select(NOTES).order_by("name")).scalars()))


async def test_writes_of_one_moment_share_a_transaction(engine: AsyncEngine):
    commits = 0

    def count(_connection: object) -> None:
        nonlocal commits
        commits += 1

    event.listen(sa.Engine, "commit", count)
    try:
        done = await asyncio.gather(*(change(engine, adding(f"{number:02}")) for number in range(50)))
    finally:
        event.remove(sa.Engine, "commit", count)
    assert done == await names(engine) == [f"{number:02}" for number in range(50)]
    assert commits <= 2


async def test_a_write_that_fails_fails_alone(engine: AsyncEngine):
    jobs = [change(engine, adding(name)) for name in ("a", "b", "a", "c")]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(result) for result in done] == [str, str, IntegrityError, str]
    assert await names(engine) == ["a", "b", "c"]


async def test_who_leaves_before_the_transaction_takes_the_write_along(engine: AsyncEngine):
    async with writing(engine) as connection:  # holds the turn
        await connection.execute(sa.insert(NOTES), {"name": "first"})
        leaving = asyncio.create_task(change(engine, adding("leaving")))
        staying = asyncio.create_task(change(engine, adding("staying")))
        await asyncio.sleep(0)
        leaving.cancel()
    await staying
    assert await names(engine) == ["first", "staying"]


async def test_readers_see_what_was_committed_and_wait_for_no_writer(engine: AsyncEngine):
    await change(engine, adding("before"))
    async with writing(engine) as connection:
        await connection.execute(sa.insert(NOTES), {"name": "open"})
        assert await names(engine) == ["before"]
    assert await names(engine) == ["before", "open"]


async def test_what_was_acknowledged_survives_the_death_of_the_process(tmp_path: Path):
    code = (
        "import asyncio, sys, pathlib\n"
        "from signalbox.database import open_engine, sqlite_url\n"
        "from signalbox.transactions import change\n"
        "from tests.signalbox.test_transactions import NOTES, adding\n"
        "async def main():\n"
        "    engine = open_engine(sqlite_url(pathlib.Path(sys.argv[1])))\n"
        "    await change(engine, NOTES.metadata.create_all)\n"
        "    async def worker(name):\n"
        "        for number in range(10**6):\n"
        "            print(await change(engine, adding(f'{name}-{number}')), flush=True)\n"
        "    await asyncio.gather(*(worker(name) for name in 'abcdefgh'))\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "notes.db")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'a2a'}"},
    )
    assert process.stdout is not None
    acknowledged = [await asyncio.to_thread(process.stdout.readline) for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    acknowledged += (await asyncio.to_thread(process.stdout.read)).splitlines(keepends=True)
    await asyncio.to_thread(process.wait)
    process.stdout.close()
    engine = open_engine(sqlite_url(tmp_path / "notes.db"))
    assert {line.strip() for line in acknowledged if line.endswith("\n")} <= set(await names(engine))
    await engine.dispose()
