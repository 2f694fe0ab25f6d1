"""The probe as an HTTP server of its own."""

import os
import socket
import subprocess
import sys
import time

from tests.toolbus.world import MINT, PROBE, ROOT, World
from toolbus.settings import ServerSpec


class HttpProbe:
    """The probe as an HTTP server of its own, on a port that stays the same over restarts."""

    def __init__(self, world: World) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PROBE_LOG": str(world.log),
            "PROBE_KEY": MINT.key_for("probe").get_secret_value(),
        }
        self.spec = ServerSpec(
            name="probe",
            transport="http",
            url=f"http://127.0.0.1:{self.port}/mcp",
            headers={"authorization": "Bearer x"},  # type: ignore[dict-item]
            ours=True,
            audience="probe",
            auto_approve=True,
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROBE), str(self.port)], env=self._environment, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError("the HTTP probe did not start")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
