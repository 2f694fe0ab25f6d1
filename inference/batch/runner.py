"""Works on batches beside everything else: claims open ones, keeps their leases, hears of cancellations."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from inference.batch.contracts import BatchState, Work
from inference.batch.job import BatchJob, Tools
from inference.batch.work import LostBatch, WorkStore
from signalbox.database import answered
from signalbox.errors import UpstreamDown

_log = structlog.get_logger(__name__)
_AT_ONCE = 8
"""Batches of one process; they share its places for lines."""
_RENEWALS_PER_LEASE = 4
_PRUNE_EVERY_S = 3600.0

_CLOSE_S = 5.0

Prune = Callable[[], Awaitable[object]]


class BatchRunner:
    """The worker of one process. `start` it once, `wake` it when a batch was made or cancelled, `close` it."""

    def __init__(self, tools: Tools, store: WorkStore, *, prune: Prune) -> None:
        self._tools = tools
        self._store = store
        self._prune = prune
        self._jobs: dict[str, tuple[BatchJob, asyncio.Task[None]]] = {}
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._next_prune = 0.0

    async def start(self) -> None:
        """Go on where the process before this one stopped."""
        await self._store.take_over()
        self._loop = asyncio.create_task(self._run(), name="batches")

    def wake(self) -> None:
        """There is something new to look at."""
        self._woken.set()

    async def close(self) -> None:
        """Stop; lines without a result are worked on after the next start."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        tasks = [loop, *(task for _, task in self._jobs.values())]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CLOSE_S)
        try:
            await answered(self._store.release(), _CLOSE_S)
        except (SQLAlchemyError, UpstreamDown) as error:  # then the leases run out
            _log.warning("batches.not_released", error=type(error).__name__)

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - the root of all batches: the next look may go better
                _log.warning("batches.not_looked_at", error=type(error).__name__)
            try:
                async with asyncio.timeout(self._tools.settings.lease_s / _RENEWALS_PER_LEASE):
                    await self._woken.wait()
            except TimeoutError:
                continue
            finally:
                self._woken.clear()

    async def _look(self) -> None:
        held = await self._store.renew()
        for batch_id, (job, task) in self._jobs.items():
            if batch_id not in held:
                task.cancel()  # another process took it, or it is just ending
            elif held[batch_id] is BatchState.CANCELLING:
                job.cancel()
        for work in await self._store.claim(room=_AT_ONCE - len(self._jobs)):
            self._begin(work)
        if time.monotonic() >= self._next_prune:
            self._next_prune = time.monotonic() + _PRUNE_EVERY_S
            await self._prune()

    def _begin(self, work: Work) -> None:
        job = BatchJob(work, self._tools)
        task = asyncio.create_task(self._attempt(work, job), name=f"batch {work.batch.id}")
        self._jobs[work.batch.id] = (job, task)

    async def _attempt(self, work: Work, job: BatchJob) -> None:
        batch_id = work.batch.id
        try:
            await job.run()
        except LostBatch:
            _log.warning("batch.lost", batch=batch_id)
        except Exception as error:  # noqa: BLE001 - the root of a batch: it is tried again at the next look
            _log.exception("batch.stopped", batch=batch_id, error=type(error).__name__)
            await self._let_go(batch_id)
        finally:
            self._jobs.pop(batch_id, None)
            if self._loop is not None and len(self._jobs) == _AT_ONCE - 1:
                self.wake()

    async def _let_go(self, batch_id: str) -> None:
        try:
            await self._store.release(batch_id)
        except SQLAlchemyError as error:  # then the lease runs out
            _log.warning("batch.not_released", batch=batch_id, error=type(error).__name__)


def utc_now() -> datetime:
    """The clock of running systems."""
    return datetime.now(UTC)
