"""The record of every tool call: JSON lines, each bound to the one before it by hash.

One line: the facts, `seq`, `prev` (hash of the line before), and last `hash` = sha256 over the line without it, byte
for byte. A line that is altered, removed or inserted breaks every hash after it. Lines are written in batches, each
followed by fsync, by one thread.

A batch that cannot be written (the disk is full) is cut off the file and kept, in order, until it can be: then the
chain goes on. What must be on record first does not happen meanwhile, and once too much is kept, nothing does.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog

from signalbox.errors import Conflict, UpstreamDown

_log = structlog.get_logger(__name__)
_GENESIS = "0" * 64
_BATCH_S = 0.05
_RETRY_MAX_S = 5.0
_MAX_UNWRITTEN = 8 * 1024 * 1024


@dataclass(frozen=True)
class Verification:
    """What `verify` found."""

    records: int
    intact: bool
    fault: str = ""
    head: str = _GENESIS


class AuditLog:
    """Appends records; the only writer of its file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise Conflict(
                f"The audit log {path.name!r} is open in another process.",
                hint="Stop it first, or give this one a data folder of its own.",
            ) from error
        self._seq, self._head, torn = _resume(self._file)
        self._pending: list[bytes] = []
        self._unwritten = 0  # bytes in memory
        self._fault: OSError | None = None  # of the last attempt to write
        self._attempts = 0
        self._wait_s = _BATCH_S
        self._whole_to: int | None = None  # size of the file without the batch that is being written
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")
        self._flushing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        if torn:
            _log.warning("audit.torn_line_dropped", bytes=torn)
            self.append({"event": "audit.recovered", "dropped_bytes": torn})

    @property
    def head(self) -> str:
        """The hash of the newest record: keep it elsewhere to prove later that nothing was cut off the end."""
        return self._head

    def status(self) -> str:
        """`up`, or why records wait in memory."""
        return "up" if self._fault is None else f"it cannot be written ({self._fault.strerror}), records wait in memory"

    def admit(self) -> None:
        """To be asked before what needs a record only afterwards; raises `UpstreamDown` when no more can be kept."""
        if self._fault is not None and self._unwritten > _MAX_UNWRITTEN:
            raise self._down(self._fault)

    def append(self, facts: dict[str, Any]) -> None:
        """Add one record; it is on disk after the next `flush`, which follows by itself within a moment."""
        if self._closed:
            raise Conflict("The audit log is closed; nothing may happen unrecorded.")
        self._seq += 1
        # What is hashed is what is written, with the hash put in before the last brace.
        line = _line({"seq": self._seq, "time": _now(), **facts, "prev": self._head})
        self._head = hashlib.sha256(line).hexdigest()
        written = line[:-1] + b',"hash":"' + self._head.encode() + b'"}\n'
        self._pending.append(written)
        self._unwritten += len(written)
        self._schedule()

    async def flush(self) -> None:
        """Wait until everything appended so far is on disk; raises `UpstreamDown` when it cannot be written now."""
        before = self._attempts
        while self._pending or (self._flushing is not None and not self._flushing.done()):
            if self._flushing is None or self._flushing.done():
                self._flushing = asyncio.get_running_loop().create_task(self._drain())
            await asyncio.shield(self._flushing)
            if self._fault is not None and self._attempts > before:  # an older one says nothing about now
                raise self._down(self._fault)

    async def close(self) -> None:
        """Write what is pending and let go of the file."""
        if self._closed:
            return
        try:
            await self.flush()
        except UpstreamDown as error:
            _log.error("audit.records_lost", records=len(self._pending), reason=str(error))
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._writer.shutdown()
        os.close(self._file)

    def _schedule(self) -> None:
        # Group commit: one hop to the writer's thread for all records of a moment, not one for each.
        if self._timer is not None or not self._pending:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # outside a loop: `flush` or `close` writes
        self._timer = loop.call_later(self._wait_s, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._pending and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            batch, self._pending = self._pending, []
            self._attempts += 1
            try:
                await loop.run_in_executor(self._writer, self._write, b"".join(batch))
            except OSError as error:
                self._pending = batch + self._pending  # each is bound to the one before: none may be left out
                self._failed(error)
                return
            self._unwritten -= sum(map(len, batch))
            if self._fault is not None:
                _log.warning("audit.writable_again", records=len(batch))
            self._fault, self._wait_s = None, _BATCH_S

    def _failed(self, error: OSError) -> None:
        _log.error("audit.write_failed", reason=error.strerror, records=len(self._pending), bytes=self._unwritten)
        self._fault = error
        self._wait_s = min(2 * self._wait_s, _RETRY_MAX_S)
        self._schedule()

    def _down(self, error: OSError) -> UpstreamDown:
        return UpstreamDown(
            f"The audit log {self._path.name!r} cannot be written ({error.strerror}); nothing may happen unrecorded.",
            hint="Make it writable, or make room on its disk: it goes on by itself.",
            retry_after_s=_RETRY_MAX_S,
        )

    def _write(self, batch: bytes) -> None:
        if self._whole_to is None:
            self._whole_to = os.fstat(self._file).st_size
        else:
            os.ftruncate(self._file, self._whole_to)
        try:
            view = memoryview(batch)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError:
            with contextlib.suppress(OSError):  # then the next attempt does it first
                os.ftruncate(self._file, self._whole_to)
            raise
        self._whole_to = None


def verify(path: Path) -> Verification:
    """Walk the chain; says where it breaks first."""
    head, count = _GENESIS, 0
    for number, (line, record) in enumerate(_lines(path), start=1):
        if record is None:
            return Verification(count, intact=False, fault=f"line {number} is not a record", head=head)
        claimed = record.get("hash")
        if record.get("seq") != number or record.get("prev") != head:
            return Verification(
                count, intact=False, fault=f"line {number} does not follow the line before it", head=head
            )
        if claimed != _digest(line):
            return Verification(count, intact=False, fault=f"line {number} was altered", head=head)
        head, count = str(claimed), number
    return Verification(count, intact=True, head=head)


def read(path: Path) -> Iterator[dict[str, Any] | None]:
    """The records, oldest first; `None` for a line that is not one."""
    for _, record in _lines(path):
        yield record


def _lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            yield line, record if isinstance(record, dict) else None


def records_of_run(path: Path, run_id: str) -> list[dict[str, Any]]:
    """What happened in one run."""
    return [record for record in read(path) if record is not None and record.get("run") == run_id]


def argument_hash(arguments: dict[str, Any]) -> str:
    """sha256 over the canonical JSON of a call's exact arguments."""
    return hashlib.sha256(_canonical(arguments)).hexdigest()


def _resume(file: int) -> tuple[int, str, int]:
    # The tail decides: number and hash of the last whole line. A torn last line (we were killed while writing it)
    # is cut off; it was never acknowledged.
    size = os.fstat(file).st_size
    with open(os.dup(file), "rb") as reader:  # noqa: PTH123 - a descriptor, not a path
        window = min(size, 1 << 20)
        reader.seek(size - window)
        tail = reader.read(window)
    end = tail.rfind(b"\n") + 1
    torn = len(tail) - end
    if torn:
        os.ftruncate(file, size - torn)
    if not end:
        return 0, _GENESIS, torn
    last = tail[tail.rfind(b"\n", 0, end - 1) + 1 : end]
    try:
        record = json.loads(last)
        return int(record["seq"]), str(record["hash"]), torn
    except (ValueError, KeyError, TypeError) as error:
        raise Conflict(
            "The last record of the audit log cannot be read.",
            hint="`signalbox audit verify` says where it breaks; move the file away to begin a new one.",
        ) from error


_LINE = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
_HASH_AT_END = re.compile(rb',"hash":"[0-9a-f]{64}"\}\n?\Z')
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str)


def _canonical(value: dict[str, Any]) -> bytes:
    return _CANONICAL.encode(value).encode()


def _line(record: dict[str, Any]) -> bytes:
    """The record as it is hashed and written: ASCII, so that a line is a line to every tool that reads it.

    orjson takes a tenth of the time of `json`, which escapes what is not ASCII and takes what orjson does not.
    """
    try:
        line = orjson.dumps(record, default=str, option=_LINE)
    except TypeError:
        return _canonical(record)
    return line if line.isascii() else _canonical(record)


def _digest(line: bytes) -> str | None:
    """The hash that a written line should end with; None where it ends with none."""
    end = _HASH_AT_END.search(line)
    return None if end is None else hashlib.sha256(line[: end.start()] + b"}").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
