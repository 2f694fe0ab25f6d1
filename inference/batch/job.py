"""One batch from its input file to its end, in one process: validated, worked on, cancelled, expired."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from inference.batch.contracts import BatchState, Interrupted, Line, LineFault, LineWorker, Reply, Work
from inference.batch.files import FileStore
from inference.batch.ids import new_request_id
from inference.batch.lines import answered, left_out, read_lines
from inference.batch.settings import BatchSettings
from inference.batch.slots import IdleSlots
from inference.batch.work import WorkStore
from signalbox.errors import NotFound

_log = structlog.get_logger(__name__)
_LINES_AT_ONCE = 100
_TRY_LATER = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 60.0
_LATE = Reply(
    status=504,
    body={"error": {"message": "The line took too long.", "type": "server_error", "param": None, "code": "timeout"}},
    request_id="",
)
_EXPIRED = ("batch_expired", "This request could not be executed before the completion window expired.")
_CANCELLED = ("batch_cancelled", "This request was not executed: the batch was cancelled.")


@dataclass(frozen=True)
class Tools:
    """What every job of a process works with."""

    store: WorkStore
    files: FileStore
    worker: LineWorker
    slots: IdleSlots
    settings: BatchSettings
    clock: Callable[[], datetime]


class BatchJob:
    """Works on one batch. `cancel` ends the batch; cancelling the task of `run` leaves it for another time."""

    def __init__(self, work: Work, tools: Tools) -> None:
        self._work = work
        self._tools = tools
        self._cancelled = asyncio.Event()
        self._interrupted = False
        if work.batch.state is BatchState.CANCELLING:
            self._cancelled.set()

    def cancel(self) -> None:
        """Its owner wants no more of it: running lines are stopped, what is done is kept."""
        self._cancelled.set()

    async def run(self) -> None:
        """Until the batch has ended; raises `LostBatch` when another process holds it."""
        store, work = self._tools.store, self._work
        if work.batch.state is BatchState.VALIDATING and not await self._validate():
            return
        lines = asyncio.create_task(self._all_lines(), name=f"lines of {work.batch.id}")
        stopped = asyncio.create_task(self._cancelled.wait())
        try:
            await asyncio.wait({lines, stopped}, timeout=self._left_s(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            if not lines.done():
                lines.cancel()
            await asyncio.wait({lines, stopped})
        if not lines.cancelled():
            lines.result()
            if not self._interrupted:
                await store.end(work, BatchState.COMPLETED)
        elif self._cancelled.is_set():
            await self._leave_out_rest(*_CANCELLED)
            await store.end(work, BatchState.CANCELLED)
        else:
            await self._leave_out_rest(*_EXPIRED)
            await store.end(work, BatchState.EXPIRED)

    def _left_s(self) -> float:
        return max(0.0, (self._work.batch.expires_at - self._tools.clock()).total_seconds())

    async def _validate(self) -> bool:
        work, tools = self._work, self._tools
        request = work.batch.request
        try:
            content = await tools.files.read(work.owner, request.input_file_id)
            data = b"".join([part async for part in content])
        except NotFound as error:
            fault = LineFault(code="file_not_found", message=error.message, param="input_file_id")
            await tools.store.refuse(work, [fault])
            return False
        limit = tools.settings.max_lines
        found = await asyncio.to_thread(read_lines, data, endpoint=request.endpoint, max_lines=limit)
        if found.faults:
            await tools.store.refuse(work, found.faults)
            return False
        await tools.store.begin(work, found.rows)
        return True

    async def _all_lines(self) -> None:
        try:
            await self._each_line()
        except ExceptionGroup as group:  # the first says it all: the others were stopped because of it
            raise group.exceptions[0] from group

    async def _each_line(self) -> None:
        after = -1
        async with asyncio.TaskGroup() as group:
            while lines := await self._tools.store.open_lines(self._work.batch.id, after=after, limit=_LINES_AT_ONCE):
                for line in lines:
                    await self._tools.slots.take()
                    task = group.create_task(self._line(line))
                    # Not in the task: one that is cancelled before its first step runs none of its code.
                    task.add_done_callback(lambda _: self._tools.slots.give())
                after = lines[-1].position

    async def _line(self, line: Line) -> None:
        store, work = self._tools.store, self._work
        try:
            reply = await self._answer(line)
        except Interrupted:
            self._interrupted = True
            return
        ok = reply.status < 400
        data = answered(line.custom_id, reply.request_id or new_request_id(), reply.status, reply.body)
        # A line that has its answer keeps it, even when the batch is stopped at this very moment.
        recording = asyncio.ensure_future(store.record(work, [(line, data)], "output" if ok else "error"))
        try:
            await asyncio.shield(recording)
        finally:
            if not recording.done():
                await asyncio.wait([recording])

    async def _answer(self, line: Line) -> Reply:
        tools, request = self._tools, self._work.batch.request
        loop = asyncio.get_running_loop()
        give_up_at, pause_s = loop.time() + tools.settings.retry_for_s, _FIRST_PAUSE_S
        while True:
            try:
                async with asyncio.timeout(tools.settings.line_timeout_s):
                    reply = await tools.worker.answer(self._work.owner, request.endpoint, line.body)
            except TimeoutError:
                return _LATE
            if reply.status not in _TRY_LATER or loop.time() >= give_up_at:
                return reply
            wait_s = max(pause_s, reply.retry_after_s or 0) * random.uniform(1, 1.5)  # noqa: S311 - jitter
            _log.info("batch.line_waits", batch=self._work.batch.id, status=reply.status, seconds=round(wait_s, 1))
            await asyncio.sleep(min(wait_s, _LONGEST_PAUSE_S))
            pause_s *= 2

    async def _leave_out_rest(self, code: str, message: str) -> None:
        store, work = self._tools.store, self._work
        while lines := await store.open_lines(work.batch.id, after=-1, limit=_LINES_AT_ONCE):
            rest = [(line, left_out(line.custom_id, new_request_id(), code, message)) for line in lines]
            await store.record(work, rest, "error")
