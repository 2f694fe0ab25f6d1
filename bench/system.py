"""`signalbox up` as a process for a benchmark, with limits that a load does not reach."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 30
_LIMITS = {
    "REQUESTS_PER_MINUTE": "1000000",
    "RUNS_PER_PRINCIPAL": "4096",
    "RUNS_TOTAL": "4096",
    "CALLS_PER_PRINCIPAL": "4096",
    "CALLS_TOTAL": "4096",
}


@dataclass(frozen=True)
class Running:
    """Where it is reached, and with which key."""

    url: str
    key: str


@asynccontextmanager
async def running_system(work: Path, settings: Mapping[str, str]) -> AsyncIterator[Running]:
    """A system whose data lie in `work`, on these settings, while the block runs."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX")}
    fixed = {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'a2a'}",
        "SIGNALBOX__DATA_DIR": str(work / "var"),
        "SIGNALBOX__GATEWAY__PORT": str(port),
        **{f"SIGNALBOX__GATEWAY__{name}": value for name, value in _LIMITS.items()},
    }
    process = _start({**kept, **fixed, **settings}, work / "system.log")
    try:
        url = f"http://127.0.0.1:{port}"
        await _ready(process, url, work)
        yield Running(url, next(iter(json.loads((work / "var/keys.json").read_text()).values())))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_TIMEOUT_S)


def _start(environment: Mapping[str, str], log_file: Path) -> subprocess.Popen[bytes]:
    with log_file.open("wb") as log:
        command = [sys.executable, "-m", "signalbox", "up"]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


async def _ready(process: subprocess.Popen[bytes], url: str, work: Path) -> None:
    async with asyncio.timeout(START_TIMEOUT_S), aiohttp.ClientSession(url) as http:
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"signalbox up ended: {(work / 'system.log').read_text()[-2000:]}")
            try:
                async with http.get("/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
