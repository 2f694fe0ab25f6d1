"""One real system for these tests: `signalbox up` as a process, with the demo, on a port of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 150


@dataclass
class Running:
    """A started system."""

    process: subprocess.Popen[bytes]
    url: str
    data_dir: Path
    log: Path

    @property
    def keys(self) -> dict[str, str]:
        return json.loads((self.data_dir / "keys.json").read_text())

    def client(self, user: str) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.keys[user]}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60)

    def ask(self, user: str, question: str, **extension: object) -> dict:
        body = {"model": "signalbox", "messages": [{"role": "user", "content": question}], "signalbox": extension}
        with self.client(user) as client:
            response = client.post("/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(data_dir: Path, port: int, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX")}
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'a2a'}"}
    return kept | paths | {"SIGNALBOX__DATA_DIR": str(data_dir), "SIGNALBOX__GATEWAY__PORT": str(port)} | more


def start(data_dir: Path, **more: str) -> Running:
    port = free_port()
    log = data_dir.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "signalbox", "up"],
            cwd=ROOT,
            env=environment(data_dir, port, **more),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    running = Running(process, f"http://127.0.0.1:{port}", data_dir, log)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"signalbox up ended: {log.read_text()}")
        try:
            if httpx2.get(f"{running.url}/readyz", timeout=2).status_code == 200:
                return running
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"not ready after {START_TIMEOUT_S} s: {log.read_text()}")


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(tmp_path_factory.mktemp("system") / "var")
    yield running
    running.stop()
