"""Starts a vLLM from a profile, waits until it can really answer, restarts it when it dies, stops it cleanly."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import aiohttp
import structlog
from pydantic import SecretStr

from inference.vllm.serving_profile import Profile
from signalbox.errors import ToolFault, UpstreamDown, UserFault

_log = structlog.get_logger(__name__)
_PROBE_TIMEOUT_S = 5.0
_PROBE_INTERVAL_S = 0.5
_STABLE_AFTER_S = 60.0
_TAIL_BYTES = 4096
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
    unix_socket: Path | None = None
    """Listen here instead of on a port: then file permissions decide who may call."""
    api_key: SecretStr | None = None
    """Handed to vLLM by its environment, so that no process list shows it."""
    tls: ssl.SSLContext | None = None
    """How our probes reach a server whose profile has the `ssl-*` lines."""
    ready_timeout_s: float = 900
    stop_timeout_s: float = 90

    @property
    def base_url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://vllm" if self.unix_socket else f"{scheme}://{self.host}:{self.port}"

    def arguments(self) -> list[str]:
        """What follows `vllm serve`; the command line wins over the profile."""
        where = (
            ["--uds", str(self.unix_socket)] if self.unix_socket else ["--host", self.host, "--port", str(self.port)]
        )
        return [self.model, "--config", str(self.profile.config), *where, *self.extra]

    def environment(self) -> dict[str, str]:
        """The process's own environment, the profile's on top, and the key."""
        key = {"VLLM_API_KEY": self.api_key.get_secret_value()} if self.api_key else {}
        return {**_inherited(), **self.profile.environment, **key}

    def open_session(self) -> aiohttp.ClientSession:
        """Connections to the server, for probes."""
        connector = aiohttp.TCPConnector(ssl=self.tls or True)
        if self.unix_socket:
            connector = aiohttp.UnixConnector(str(self.unix_socket))
        return aiohttp.ClientSession(
            self.base_url,
            connector=connector,
            headers={"Authorization": f"Bearer {self.api_key.get_secret_value()}"} if self.api_key else None,
            timeout=aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S),
        )


@dataclass(frozen=True)
class Watch:
    """What `supervise` tells whoever watches it."""

    on_progress: Callable[[float], None]
    """Still starting, for so many seconds."""
    on_ready: Callable[[], None]
    on_death: Callable[[str, float], None]
    """Why, and in how many seconds it is started again."""


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
        if launch.unix_socket is not None:
            await asyncio.to_thread(_free_socket, launch.unix_socket)
        with await asyncio.to_thread(self._open_log) as log:
            self._process = await asyncio.create_subprocess_exec(
                str(launch.command),
                "serve",
                *launch.arguments(),
                env=launch.environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own: its workers end with it
            )

    async def wait_ready(self, on_progress: Callable[[float], None] | None = None) -> None:
        """Return when `/health` answers, the model is listed and one token was generated."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with self._launch.open_session() as http:
            while True:
                if self.pid is None:
                    tail = await asyncio.to_thread(self._tail)
                    raise ToolFault(f"vLLM ended while starting. The last lines of its log: {tail}")
                if await self._answers(http):
                    return
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
            self._end_group()
            return
        with contextlib.suppress(ProcessLookupError):  # it ended, and the loop has not heard of it yet
            os.killpg(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self._launch.stop_timeout_s)
        except TimeoutError:
            _log.warning("vllm.killed", pid=process.pid, after_s=self._launch.stop_timeout_s)
        finally:
            self._end_group()
            await process.wait()

    def kill(self) -> None:
        """End it at once; streams break."""
        if self.pid is not None:
            os.killpg(self.pid, signal.SIGKILL)

    async def supervise(self, watch: Watch) -> None:
        """Keep it running until cancelled; restarts wait longer each time unless it ran well for a while.

        A first start that fails is the operator's to correct and is raised; later ones are tried again.
        """
        loop = asyncio.get_running_loop()
        failures, ever_ready = 0, False
        try:
            while True:
                started = loop.time()
                try:
                    await self._run(watch)
                except (ToolFault, UpstreamDown) as fault:
                    if not ever_ready:
                        raise
                    reason = fault.message
                    await self.stop()
                else:
                    ever_ready = True
                    reason = f"it ended with code {self._process.returncode if self._process else None}"
                self._end_group()
                failures = 0 if loop.time() - started > _STABLE_AFTER_S else failures + 1
                pause = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
                _log.error("vllm.died", reason=reason, restart_in_s=pause)
                watch.on_death(reason, pause)
                await asyncio.sleep(pause)
        finally:
            await asyncio.shield(self.stop())

    async def _run(self, watch: Watch) -> None:
        await self.start()
        await self.wait_ready(watch.on_progress)
        watch.on_ready()
        assert self._process is not None
        await self._process.wait()

    def _end_group(self) -> None:
        # A server that was killed leaves its workers, and they hold the GPU's memory.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            if self._process.returncode is not None:
                self._process = None  # its number may soon be another's

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

    def _open_log(self) -> BinaryIO:
        command = self._launch.command
        if not command.exists():
            raise UserFault(
                f"There is no vLLM at {str(command)!r}.", hint="Install it into its own environment: `make vllm`."
            )
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        return self._log_file.open("ab")

    def _tail(self) -> str:
        with self._log_file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return " / ".join(line.strip() for line in lines[-3:])


def _free_socket(path: Path) -> None:
    """Remove the socket file that a killed server left behind: vLLM would not bind to it."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PROBE_TIMEOUT_S)
            probe.connect(str(path))
    except FileNotFoundError:
        return
    except (ConnectionRefusedError, TimeoutError):
        if not path.is_socket():
            raise UserFault(f"{str(path)!r} is not a socket.", hint="Name another --socket.") from None
        path.unlink(missing_ok=True)
        return
    raise UserFault(f"Another server listens on {str(path)!r}.", hint="Stop it, or name another --socket.")


def _inherited() -> dict[str, str]:
    # Bytecode must be written: without it every start compiles vLLM's sources again (100 CPU-seconds).
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
