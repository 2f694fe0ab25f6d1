"""Wall time, processor time (with that of ended child processes), memory and disk."""

import os
import resource
import statistics
import time
from collections.abc import Sequence
from pathlib import Path


class Stopwatch:
    """Seconds since it was made, on the wall and on the processor."""

    def __init__(self) -> None:
        self._wall, self._own, self._children = time.perf_counter(), time.process_time(), _children()

    @property
    def wall_s(self) -> float:
        """Seconds by the clock."""
        return time.perf_counter() - self._wall

    @property
    def cpu_s(self) -> float:
        """Processor seconds of this process, all threads."""
        return time.process_time() - self._own

    @property
    def children_cpu_s(self) -> float:
        """Processor seconds of child processes that have ended since."""
        return _children() - self._children


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> float:
    """Largest resident size of this process so far. (A child's cannot be told from its parent's before `exec`.)"""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def megabytes(path: Path) -> float:
    """Size on disk of a file or of a folder."""
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    return sum(item.stat().st_size for item in files) / 1e6


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def load() -> str:
    """The machine's load averages, to be printed with every figure."""
    return "load " + " ".join(f"{value:.1f}" for value in os.getloadavg())
