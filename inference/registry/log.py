"""The log of all releases: one line of JSON for each event, each holding the hash of the line before."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from inference.registry.manifest import sha256
from inference.registry.states import Entry, Standing
from signalbox.errors import SignalboxError, UserFault

Stamp = tuple[int, int, int]


class ReleaseLog:
    """`log.jsonl`: appended to, never rewritten. What a release is allowed next is decided by `Standing`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stamp(self) -> Stamp | None:
        """Changes whenever the log does; None where there is none. One system call: asked before every turn."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def read(self) -> Standing:
        """What the log amounts to; raises `UserFault` when a line is not as it was written."""
        return self._read()[0]

    def append(self, entry: Entry) -> Standing:
        """Add one event; raises `Conflict` where the log does not allow it."""
        with self._alone():
            standing, last = self._read()
            entry = entry.model_copy(update={"previous": last})
            standing = standing.after(entry)
            with self._path.open("ab") as log:
                log.write(entry.model_dump_json(exclude_defaults=True).encode() + b"\n")
                log.flush()
                os.fsync(log.fileno())
            return standing

    def _read(self) -> tuple[Standing, str]:
        standing, last = Standing(), ""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return standing, last
        whole = data[: data.rfind(b"\n") + 1]  # a line that is being written has no end yet
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = Entry.model_validate_json(line)
                if entry.previous != last:
                    raise UserFault("the line before was changed")
                standing = standing.after(entry)
            except (ValidationError, SignalboxError) as error:
                raise UserFault(
                    f"{self._path}, line {number}: {error}.", hint="Restore the log from version control."
                ) from error
            last = sha256(line)
        return standing, last

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path.parent, os.O_RDONLY)  # the folder itself is the lock: no file is left behind
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
