"""`signalbox up`: everything on one machine, in the foreground, until Ctrl-C."""

import asyncio
import time

import uvloop
from rich.markup import escape

from signalbox.cli.console import err
from signalbox.cli.ports import require_free_port
from signalbox.cli.progress import ingest_bar
from signalbox.settings import Settings, load_settings
from signalbox.telemetry import configure_logging, leave_out_spans
from signalbox.wiring.demo import DemoWorkspace
from signalbox.wiring.paths import Paths
from signalbox.wiring.people import DEMO_USERS, OPERATOR
from signalbox.wiring.settling import settle
from signalbox.wiring.system import open_system

FIRST_QUESTION = (
    "What is the penalty when Nordcell delivers late, and how many of its deliveries were late in October 2026?"
)


def up() -> None:
    """Load the demo where it is missing, then serve."""
    started = time.monotonic()
    settings = load_settings()
    configure_logging(settings.log.level, settings.log.format)
    leave_out_spans()
    require_free_port(settings.gateway.host, settings.gateway.port)
    uvloop.run(_up(settings, started))


async def _up(settings: Settings, started: float) -> None:
    await _prepare(settings)
    async with open_system(settings) as system:
        # Loaded by now: the web framework came in while the tool servers started.
        from gateway.keys_file import ensure_keys
        from signalbox.cli.server import Server

        paths = Paths(settings.data_dir)
        keys = await ensure_keys(system.keys, paths.keys, DEMO_USERS)
        await ensure_keys(system.keys, paths.operator_key, [OPERATOR])
        server = Server(system.app, settings.gateway, system.turns)
        server.on_started = lambda: _welcome(settings, server.port, keys, time.monotonic() - started)
        settling = asyncio.create_task(settle(system.bus), name="settle")
        await server.serve()
        settling.cancel()
    err().print("Stopped.")


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
