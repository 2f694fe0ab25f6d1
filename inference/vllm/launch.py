"""Starts a vLLM from a profile, waits until it can really answer, restarts it when it dies, stops it cleanly."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import structlog

from inference.vllm.serving_profile import Profile
from signalbox.errors import ToolFault, UpstreamDown, UserFault

_log = structlog.get_logger(__name__)
_PROBE_TIMEOUT_S = 5.0
_PROBE_INTERVAL_S = 0.5
_STABLE_AFTER_S = 60.0
_BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Launch:
    """What to run: vLLM's command, a profile, a model, and where to listen."""

    command: Path
    profile: Profile
    model: str
    port: int
    host: str = "127.0.0.1"
    extra: Sequence[str] = ()
    ready_timeout_s: float = 900
    stop_timeout_s: float = 90

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"


class VllmServer:
    """One vLLM process and its children, as one group."""

    def __init__(self, launch: Launch, *, log_file: Path) -> None:
        self._launch = launch
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the process; it is not ready yet."""
        launch = self._launch
        if not launch.command.exists():
            raise UserFault(
                f"There is no vLLM at {str(launch.command)!r}.",
                hint="Install it into its own environment: `make vllm`.",
            )
        arguments = [
            launch.model,
            "--config",
            str(launch.profile.config),
            "--host",
            launch.host,
            "--port",
            str(launch.port),
        ]
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(launch.command),
                "serve",
                *arguments,
                *launch.extra,
                env={**_inherited(), **launch.profile.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own: its workers end with it
            )

    async def wait_ready(self, on_progress: Callable[[float], None] | None = None) -> None:
        """Return when `/health` answers, the model is listed and one token was generated."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        timeout = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
        async with aiohttp.ClientSession(self._launch.base_url, timeout=timeout) as http:
            while not await self._answers(http):
                if self._process is None or self._process.returncode is not None:
                    raise ToolFault(f"vLLM ended while starting. The last lines of its log: {self._tail()}")
                waited = loop.time() - started
                if waited > self._launch.ready_timeout_s:
                    raise UpstreamDown(f"vLLM is not ready after {waited:.0f} s.", hint=f"See {self._log_file}.")
                if on_progress is not None:
                    on_progress(waited)
                await asyncio.sleep(_PROBE_INTERVAL_S)

    async def stop(self) -> None:
        """SIGTERM, so that streams end; SIGKILL to the whole group when that takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        os.killpg(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self._launch.stop_timeout_s)
        except TimeoutError:
            _log.warning("vllm.killed", pid=process.pid, after_s=self._launch.stop_timeout_s)
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def supervise(self, on_ready: Callable[[], None]) -> None:
        """Keep it running until cancelled; restarts wait longer each time unless it ran well for a while."""
        loop = asyncio.get_running_loop()
        failures = 0
        try:
            while True:
                started = loop.time()
                await self.start()
                await self.wait_ready()
                on_ready()
                assert self._process is not None
                code = await self._process.wait()
                failures = 0 if loop.time() - started > _STABLE_AFTER_S else failures + 1
                pause = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
                _log.error("vllm.died", code=code, restart_in_s=pause)
                await asyncio.sleep(pause)
        finally:
            await asyncio.shield(self.stop())

    async def _answers(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get("/health") as health:
                if health.status != 200:
                    return False
            async with http.get("/v1/models") as models:
                served = [model["id"] for model in (await models.json())["data"]]
            body = {"model": served[0], "prompt": "x", "max_tokens": 1}
            async with http.post("/v1/completions", json=body) as answer:
                # A pooling model has no completions; that it lists itself is all it can show here.
                return answer.status in (200, 400, 404)
        except (aiohttp.ClientError, TimeoutError, OSError, KeyError, IndexError):
            return False

    def _tail(self) -> str:
        lines = self._log_file.read_text(errors="replace").strip().splitlines()
        return " / ".join(line.strip() for line in lines[-3:])


def _inherited() -> dict[str, str]:
    # Bytecode must be written: without it every start compiles vLLM's sources again (100 CPU-seconds).
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
