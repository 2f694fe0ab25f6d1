"""Processes under test: started on a core of their own, and what they use, from /proc."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Started:
    """A process and what it started itself."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    peaks: dict[int, int] = field(default_factory=dict)

    def cpu_s(self) -> float:
        """CPU seconds of the process that serves, and of its workers."""
        total = 0.0
        for pid in _serving(self.process.pid):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += (int(fields[11]) + int(fields[12])) / _TICKS
        return total

    def memory_mib(self) -> tuple[float, float]:
        """PSS now, and the peak of RSS, of the process that serves."""
        pid = self.process.pid
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        status = Path(f"/proc/{pid}/status").read_text()
        return _kib(rollup, "Pss:") / 1024, _kib(status, "VmHWM:") / 1024

    def stop(self) -> None:
        """End it, kindly first."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


def start(name: str, command: Sequence[str], *, core: int, folder: Path, env: Mapping[str, str]) -> Started:
    """Start it on one core; its output goes to a file."""
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(env)
        )
    return Started(name, process, log)


def _serving(pid: int) -> list[int]:
    """The process, and its children where it hands requests to them; tool servers of ours serve no request."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_bytes()
            if b"mcp_servers" not in command and b"toolbus" not in command:
                found.append(int(child))
    return found


def _kib(text: str, name: str) -> int:
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))


def wait_until(check: object, timeout_s: float, started: Started) -> None:
    """Wait for `check()`; raises with the end of the log when the process ends or time passes."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if started.process.poll() is not None:
            break
        if callable(check) and check():
            return
        time.sleep(0.2)
    raise RuntimeError(f"{started.name} is not ready:\n{started.log.read_text(errors='replace')[-3000:]}")
