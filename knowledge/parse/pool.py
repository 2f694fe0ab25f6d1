"""A pool of confined parser processes: reused from file to file, killed and replaced when one exceeds its limits."""

import asyncio
import contextlib
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import structlog

from knowledge.contracts import Block, ParsedDocument
from knowledge.parse.wire import LENGTH, MAX_HEAD_BYTES, MAX_REPLY_BYTES, frame, join, unpack
from knowledge.settings import ParseSettings
from signalbox.errors import Bug, ToolFault

_log = structlog.get_logger(__name__)
_ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S = 30.0
_LIMITS = {
    "cpu_s",
    "memory_bytes",
    "max_bytes",
    "max_unpacked_bytes",
    "max_ratio",
    "max_entries",
    "max_depth",
    "max_pages",
    "max_characters",
    "macros",
    "ocr",
    "ocr_languages",
}


@dataclass(frozen=True, slots=True)
class ParsedPart:
    """The file itself (`path` is empty) or something in it, such as an attachment; either a document or a reason."""

    path: str
    sha256: str
    size_bytes: int
    document: ParsedDocument | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """All that came out of a file: its parts first, the file itself last."""

    parts: tuple[ParsedPart, ...]


class Refused(ToolFault):
    """The file itself is the reason: the same bytes under the same limits would be refused again.

    `verdict` is for whoever remembers refusals: what exactly was refused, and under which limits.
    """

    def __init__(self, message: str, *, verdict: str = "") -> None:
        super().__init__(message)
        self.verdict = verdict


class ParserPool:
    """Parses files in `settings.workers` processes; `async with` ends them."""

    def __init__(self, settings: ParseSettings | None = None) -> None:
        self._settings = settings or ParseSettings()
        self._free: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()
        for _ in range(self._settings.workers):
            self._free.put_nowait(None)
        self._all: set[_Worker] = set()
        self._told = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def processes(self) -> tuple[int, ...]:
        """The process ids of the workers that run now."""
        return tuple(worker.pid for worker in self._all if worker.usable)

    async def close(self) -> None:
        """End all workers; a file in work fails with `ToolFault`."""
        workers, self._all = self._all, set()
        await asyncio.gather(*(worker.kill() for worker in workers))

    async def parse(self, name: str, data: bytes) -> Parsed:
        """What the file says; raises `Refused` with the reason where it cannot be taken.

        Raises a retryable `ToolFault` where the file may not be at fault: its process was killed from outside, or
        got too little of the machine to be done in time.
        """
        if len(data) > self._settings.max_bytes:
            raise Refused(f"It is larger than {self._settings.max_bytes // 1_000_000} MB.")
        async with self._worker() as worker:
            reply = await worker.ask(PurePosixPath(name).name, data)
        if "reason" in reply:
            raise ToolFault(reply["reason"], retryable=True) if reply.get("by_chance") else Refused(reply["reason"])
        return await asyncio.to_thread(_parsed, reply["frames"])

    async def offline(self) -> bool:
        """Whether the kernel keeps parsers from the network; else only the interpreter's hook does."""
        async with self._worker() as worker:
            return worker.offline

    def _tell(self, worker: "_Worker") -> None:
        if not (worker.offline or self._told):
            self._told = True
            _log.warning("parsers_not_offline", hint="Allow user namespaces or seccomp; see docs/ingestion.md.")

    @contextlib.asynccontextmanager
    async def _worker(self) -> AsyncIterator["_Worker"]:
        worker = await self._free.get()
        try:
            if worker is None or not worker.usable:
                worker = await _Worker.start(self._settings)
                self._all.add(worker)
                self._tell(worker)
            yield worker
        finally:
            if worker is not None and not worker.usable:
                self._all.discard(worker)
                await asyncio.shield(worker.kill())
                worker = None
            self._free.put_nowait(worker)


class _Worker:
    """One process; `usable` is false once it was killed, died or has served its share."""

    def __init__(self, process: asyncio.subprocess.Process, settings: ParseSettings) -> None:
        self._process = process
        self._settings = settings
        self._left = settings.files_per_worker
        self.offline = False

    @classmethod
    async def start(cls, settings: ParseSettings) -> "_Worker":
        tesseract = shutil.which("tesseract") if settings.ocr else None
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-B",
            "-m",
            "knowledge.parse.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=_ROOT,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "OMP_THREAD_LIMIT": "1"},
            start_new_session=True,
        )
        worker = cls(process, settings)
        limits = settings.model_dump(include=_LIMITS) | {"ocr": tesseract is not None, "tesseract": tesseract or ""}
        worker._write(frame({"limits": limits}))
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                worker.offline = bool((await worker._head()).get("offline"))
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            await worker.kill()
            raise Bug(
                f"The parser process does not start (exit code {process.returncode}).",
                hint=f"Run `{sys.executable} -m knowledge.parse.worker < /dev/null` to see why.",
            ) from error
        except asyncio.CancelledError:
            await asyncio.shield(worker.kill())
            raise
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def usable(self) -> bool:
        return self._left > 0 and self._process.returncode is None

    async def ask(self, name: str, data: bytes) -> dict[str, Any]:
        """The `frames` of the worker's reply on one file, or the `reason` why there are none."""
        self._left -= 1
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._exchange(name, data)
        except TimeoutError:
            self._left = 0
            # A file that never ends is stopped by `cpu_s`, unless the machine is busy.
            return {"reason": f"Reading it took longer than {self._settings.timeout_s:g} s.", "by_chance": True}
        except (asyncio.IncompleteReadError, ConnectionError):
            self._left = 0
            return await self._obituary()
        except asyncio.CancelledError:
            self._left = 0  # a reply is on its way that nobody will fetch
            raise

    async def _exchange(self, name: str, data: bytes) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._write(frame({"name": name, "size": len(data)}))
        self._write(data)
        await self._process.stdin.drain()
        head = await self._head()
        if "reason" in head:
            return head
        frames: list[bytes] = []
        left = MAX_REPLY_BYTES
        for _ in range(head["frames"]):
            body = await self._frame(left)
            if body is None:
                return {"reason": "It holds more text than can be taken."}
            frames.append(body)
            left -= LENGTH.size + len(body)
        return {"frames": frames}

    async def _head(self) -> dict[str, Any]:
        head = unpack(await self._frame(MAX_HEAD_BYTES) or b'{"reason": "The parser gave no proper answer to it."}')
        if head.get("exit"):
            self._left = 0
        return head

    async def _frame(self, most: int) -> bytes | None:
        """The next frame; nothing, and the end of this worker, where it is larger than `most`."""
        assert self._process.stdout is not None
        size = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))[0]
        if size > most:
            self._left = 0
            return None
        return await self._process.stdout.readexactly(size)

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    async def _obituary(self) -> dict[str, Any]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await self._process.wait()
        code = self._process.returncode
        _log.warning("parser_died", code=code)
        if code == -signal.SIGXCPU:
            return {"reason": f"Reading it took more than {self._settings.cpu_s} s of CPU time."}
        reason = f"The parser broke on it ({_name_of(code)}); the file is damaged or hostile."
        return {"reason": reason, "by_chance": code == -signal.SIGKILL}  # nothing in the file does that

    async def kill(self) -> None:
        """End the process now and wait for it."""
        self._left = 0
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self._process.wait()


def _name_of(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def _parsed(frames: Sequence[bytes]) -> Parsed:
    """What the frames of a reply say; takes its time for a long document, in steps that let others go on."""
    return Parsed(tuple(_part(raw, blocks) for raw, blocks in join(frames)))


def _part(raw: dict[str, Any], blocks: Sequence[dict[str, Any]]) -> ParsedPart:
    fields = raw.get("document")
    document = None
    if fields is not None:
        placed = tuple(Block.model_validate(block) for block in blocks)
        document = ParsedDocument.model_validate(fields | {"blocks": placed})
    return ParsedPart(raw["path"], raw["sha256"], raw["size_bytes"], document, raw.get("reason", ""))
