"""One writer: a second process on the same embedded index loses data silently, so it is refused loudly."""

import fcntl
import os
import time
from pathlib import Path

from signalbox.errors import UserFault

_ORPHANS_S = 5.0
_LOOK_S = 0.02


class WriterLock:
    """An advisory lock that ends with its process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise `UserFault` naming the process that has it; taking it again is fine."""
        if self._descriptor is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _ORPHANS_S
        while not _taken(descriptor):
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            if _is_alive(holder) or time.monotonic() > deadline:
                os.close(descriptor)
                raise UserFault(
                    f"The index in {str(self._path.parent)!r} is in use by process {holder}.",
                    hint="Ingest through the running system, stop it first, or set knowledge.retrieval.chroma.url.",
                )
            # Killed while it started a child: that one has the lock until it becomes its own program.
            time.sleep(_LOOK_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; doing so twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(holder: str) -> bool:
    try:
        os.kill(int(holder), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
