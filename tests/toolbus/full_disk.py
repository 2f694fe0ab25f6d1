"""A disk without room, for one file of this process."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LARGE = {"event": "test", "text": "x" * 1_000_000}  # larger than any other file that a test writes meanwhile


@contextmanager
def full_disk(file: Path) -> Iterator[None]:
    """Room for half a line more in `file`: then writing fails, as on a full disk, with a part of the line written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 40, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
