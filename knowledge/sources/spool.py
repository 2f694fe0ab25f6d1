"""A place on disk for contents that a source hands out only while it is listed."""

import asyncio
import tempfile
import weakref
from typing import IO


class Spool:
    """Keeps byte strings in one nameless temporary file; it goes away with this object."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0
        self._lock = asyncio.Lock()

    async def put(self, key: str, content: bytes) -> None:
        """Keep a content under a key, in place of an earlier one."""
        async with self._lock:
            await asyncio.to_thread(self._write, content)
            self._places[key] = (self._end, len(content))
            self._end += len(content)

    async def get(self, key: str) -> bytes | None:
        """The content under a key, or nothing."""
        async with self._lock:
            if self._file is None or key not in self._places:
                return None
            return await asyncio.to_thread(self._read, *self._places[key])

    def _write(self, content: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="signalbox-")  # noqa: SIM115  (lives as long as the spool)
            weakref.finalize(self, self._file.close)
        self._file.seek(self._end)
        self._file.write(content)

    def _read(self, at: int, size: int) -> bytes:
        assert self._file is not None
        self._file.seek(at)
        return self._file.read(size)
