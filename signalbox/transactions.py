"""Short transactions, done in one hop to a thread: `change` what a database holds, or `look` something up.

A statement through the asynchronous SQLite driver costs a hop to its thread for each of begin, cursor, execute, close
and commit. Here a job is a plain function over a plain connection; on SQLite the writing jobs of one moment share one
transaction, so that a crowd of turns costs a few commits. On PostgreSQL, where commits run side by side, each job has
its own.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")
Job = Callable[[sa.Connection], T]
"""Must be fit to be run again: it is, in a transaction of its own, after another job of its group has failed."""

_OPTION = "signalbox_sqlite_threads"
_MAX_GROUP = 128
_READERS = 2


async def change(engine: AsyncEngine, job: Job[T]) -> T:
    """What `job` returned once it was committed; what it raises undoes it, and nothing else."""
    threads: SqliteThreads | None = engine.get_execution_options().get(_OPTION)
    if threads is not None:
        return await threads.change(job)
    async with engine.begin() as connection:
        return await connection.run_sync(job)


async def look(engine: AsyncEngine, job: Job[T]) -> T:
    """What `job` returned, from one consistent view; it must only read."""
    threads: SqliteThreads | None = engine.get_execution_options().get(_OPTION)
    if threads is not None:
        return await threads.look(job)
    async with engine.connect() as connection:
        return await connection.run_sync(job)


@dataclass(eq=False)
class _Waiting:
    job: Job[Any]
    done: "asyncio.Future[Any]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SqliteThreads:
    """One thread that writes and a few that read, over an engine for each; belongs to the engine of a SQLite file."""

    def __init__(self, writing: sa.Engine, reading: sa.Engine, turn: asyncio.Lock) -> None:
        self._writing = writing
        self._reading = reading
        self._turn = turn
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-writer")
        self._readers = ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="sqlite-reader")
        self._queue: deque[_Waiting] = deque()
        self._draining: asyncio.Task[None] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The execution options by which `change` and `look` find it."""
        return {_OPTION: self}

    async def change(self, job: Job[T]) -> T:
        """Queue a job for the next transaction. A caller that leaves before that takes its job along."""
        waiting = _Waiting(job)
        self._queue.append(waiting)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain(), name="sqlite writer")
        return await waiting.done

    async def look(self, job: Job[T]) -> T:
        """Run a job on one of the reading connections."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _one, self._reading, job)

    def close(self) -> None:
        """Let go of the threads and of the file; what is queued has been awaited by then."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._writing.dispose()
        self._reading.dispose()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            async with self._turn:
                group = [self._queue.popleft() for _ in range(min(_MAX_GROUP, len(self._queue)))]
                group = [waiting for waiting in group if not waiting.done.done()]
                jobs = [waiting.job for waiting in group]
                results = await loop.run_in_executor(self._writer, _together, self._writing, jobs)
            for waiting, result in zip(group, results, strict=True):
                if waiting.done.done():
                    continue
                if isinstance(result, _Failed):
                    waiting.done.set_exception(result.error)
                else:
                    waiting.done.set_result(result)


@dataclass(frozen=True)
class _Failed:
    error: Exception


def _one(engine: sa.Engine, job: Job[T]) -> T:
    with engine.begin() as connection:
        return job(connection)


def _together(engine: sa.Engine, jobs: Sequence[Job[Any]]) -> list[Any]:
    if len(jobs) > 1:
        try:
            with engine.begin() as connection:
                return [job(connection) for job in jobs]
        except Exception:  # noqa: BLE001, S110 - whose fault it was is found out below, one transaction each
            pass
    return [_alone(engine, job) for job in jobs]


def _alone(engine: sa.Engine, job: Job[Any]) -> Any:
    try:
        return _one(engine, job)
    except Exception as error:  # noqa: BLE001 - handed to the one who waits for this job
        return _Failed(error)
