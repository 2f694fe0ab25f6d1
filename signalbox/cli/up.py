"""`signalbox up`: everything on one machine, in the foreground, until Ctrl-C."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvloop
from rich.markup import escape

from gateway.keys_file import ensure_keys
from gateway.serve import GatewayServer
from signalbox.cli.console import err
from signalbox.cli.ports import require_free_port
from signalbox.cli.progress import ingest_bar
from signalbox.settings import Settings, load_settings
from signalbox.telemetry import configure_logging
from signalbox.wiring.demo import DemoWorkspace
from signalbox.wiring.paths import Paths
from signalbox.wiring.people import DEMO_USERS, OPERATOR

FIRST_QUESTION = (
    "What is the penalty when Nordcell delivers late, and how many of its deliveries were late in October 2026?"
)


def up() -> None:
    """Load the demo where it is missing, then serve."""
    started = time.monotonic()
    settings = load_settings()
    configure_logging(settings.log.level, settings.log.format)
    require_free_port(settings.gateway.host, settings.gateway.port)
    uvloop.run(_up(settings, started))


async def _up(settings: Settings, started: float) -> None:
    await _prepare(settings)
    from signalbox.wiring.system import open_system  # after the first words on the screen: it imports a lot

    async with open_system(settings) as system:
        paths = Paths(settings.data_dir)
        keys = await ensure_keys(system.keys, paths.keys, DEMO_USERS)
        await ensure_keys(system.keys, paths.operator_key, [OPERATOR])
        server = _Server(system.app, settings.gateway, system.turns)
        server.on_started = lambda: _welcome(settings, server.port, keys, time.monotonic() - started)
        await server.serve()
    err().print("Stopped.")


class _Server(GatewayServer):
    """Says when it listens; a signal only asks it to stop, so that what was opened is closed undisturbed."""

    on_started: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again when it has stopped, which would cut our own closing short.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, lambda: None)

    def _stop(self) -> None:
        self.force_exit = self.should_exit  # the second signal does not wait for streams
        self.should_exit = True


async def _prepare(settings: Settings) -> None:
    demo = DemoWorkspace(settings)
    console = err()
    if demo.needs_operations:
        console.print("Writing the demo's operations data …")
        await asyncio.to_thread(demo.write_operations)
    if demo.needs_desk:
        await asyncio.to_thread(demo.write_desk)
    if demo.is_missing:
        with ingest_bar("Reading the demo documents") as show:
            report = await demo.read_documents(show)
        console.print(f"Read {report.taken} documents into {report.chunks} passages in {report.seconds:.1f} s.")
        for refused in report.quarantined:
            console.print(f"[yellow]Left out[/yellow] {escape(refused.document)}: {escape(refused.reason)}")


def _welcome(settings: Settings, port: int, keys: dict[str, str], seconds: float) -> None:
    console = err()
    url = f"{settings.base_url.rsplit(':', 1)[0]}:{port}"
    engine = settings.inference.base_url or "embedded engine (no GPU)"
    console.print(f"\n[bold green]Signalbox is ready[/bold green] after {seconds:.1f} s · {escape(engine)}")
    console.print(f"  URL   [bold]{url}[/bold]")
    for user, key in keys.items():
        console.print(f"  Key   {key}  [dim]{user}[/dim]")
    console.print(f"  Kept in {Paths(settings.data_dir).keys}\n\nTry, in another terminal:")
    console.print(f'  [bold]signalbox ask --as ada "{FIRST_QUESTION}"[/bold]')
    console.print("Ctrl-C stops everything.\n")
