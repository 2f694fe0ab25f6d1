"""`signalbox inference serve`: one vLLM in the foreground."""

import asyncio
import shutil
import signal
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape

from inference.settings import TlsSettings
from inference.vllm.launch import Launch, VllmServer, Watch
from inference.vllm.serving_profile import Profile, find_profile
from signalbox.cli.console import err
from signalbox.errors import UserFault
from signalbox.settings import load_settings
from signalbox.telemetry import configure_logging

_INSTALLED_BY_MAKE = Path(".venv-vllm/bin/vllm")
_LINE_EVERY_S = 10


@dataclass(frozen=True)
class Serving:
    """What was asked for on the command line."""

    profile: str
    model: str
    host: str
    port: int
    socket: Path | None
    command: Path | None
    api_key_file: Path | None


def serve(asked: Serving) -> None:
    """Run until Ctrl-C or SIGTERM; raises where vLLM does not even start."""
    settings = load_settings()
    configure_logging(settings.log.level, settings.log.format)
    profile = find_profile(asked.profile)
    _check_model(asked.model)
    launch = Launch(
        command=asked.command or _command(),
        profile=profile,
        model=asked.model,
        port=asked.port,
        host=asked.host,
        unix_socket=asked.socket,
        api_key=_key(asked.api_key_file),
        tls=_tls(profile, settings.inference.tls),
    )
    log_file = settings.data_dir / "logs" / f"vllm-{profile.name}.log"
    asyncio.run(_serve(launch, log_file))


async def _serve(launch: Launch, log_file: Path) -> None:
    console = err()
    console.print(
        f"Starting vLLM with the profile [bold]{launch.profile.name}[/bold]; its log: {escape(str(log_file))}"
    )
    server = VllmServer(launch, log_file=log_file)
    stop = _Stop(server, console)
    task = asyncio.create_task(server.supervise(_watch(launch, console)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, task)
    try:
        await task
    except asyncio.CancelledError:
        if not stop.asked:
            raise
    console.print("Stopped.")


class _Stop:
    """The first signal lets streams end, the second does not."""

    def __init__(self, server: VllmServer, console: Console) -> None:
        self.asked = False
        self._server = server
        self._console = console

    def __call__(self, task: asyncio.Task[None]) -> None:
        if self.asked:
            self._server.kill()
            return
        self.asked = True
        self._console.print("Stopping; running streams may end. Once more stops at once.")
        task.cancel()


def _watch(launch: Launch, console: Console) -> Watch:
    started = time.monotonic()

    def ready() -> None:
        where = str(launch.unix_socket) if launch.unix_socket else launch.base_url
        seconds = time.monotonic() - started
        console.print(f"[bold green]vLLM is ready[/bold green] after {seconds:.0f} s · {escape(where)}")
        if not launch.unix_socket:
            console.print(f"  Use it: SIGNALBOX__INFERENCE__BASE_URL={escape(launch.base_url)} signalbox up")

    def died(reason: str, pause_s: float) -> None:
        nonlocal started
        console.print(f"[red]vLLM died[/red]: {escape(reason)}. Starting it again in {pause_s:g} s.")
        started = time.monotonic() + pause_s

    return Watch(on_progress=_progress(console), on_ready=ready, on_death=died)


def _progress(console: Console) -> Callable[[float], None]:
    said = 0.0

    def show(waited_s: float) -> None:
        nonlocal said
        if waited_s < said:
            said = 0.0  # another start
        if waited_s - said >= _LINE_EVERY_S:
            said = waited_s
            console.print(f"[dim]Loading … {waited_s:.0f} s[/dim]")

    return show


def _command() -> Path:
    if found := shutil.which("vllm"):
        return Path(found)
    if _INSTALLED_BY_MAKE.exists():
        return _INSTALLED_BY_MAKE
    raise UserFault(
        "There is no `vllm` in the path.",
        hint="Install it in an environment of its own and name its command by --command; for a CPU: `make vllm`.",
    )


def _check_model(model: str) -> None:
    # A name such as `Qwen/Qwen3-8B` is looked up in vLLM's own cache; a path must be there.
    if model.startswith(("/", ".", "~")) and not (Path(model).expanduser() / "config.json").exists():
        raise UserFault(f"There is no model in {model!r}: it has no config.json.", hint="Give the model's folder.")


def _key(file: Path | None) -> SecretStr | None:
    if file is None:
        return None
    try:
        key = file.read_text().strip()
    except OSError as error:
        raise UserFault(f"The key file {str(file)!r} cannot be read: {error.strerror}.") from error
    if not key:
        raise UserFault(f"The key file {str(file)!r} is empty.")
    return SecretStr(key)


def _tls(profile: Profile, settings: TlsSettings) -> ssl.SSLContext | None:
    if not profile.speaks_tls:
        return None
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
        if settings.certificate_file:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except OSError as error:
        raise UserFault(f"The TLS files cannot be used: {error}.", hint="Check inference.tls.") from error
    return context
