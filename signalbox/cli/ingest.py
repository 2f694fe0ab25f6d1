"""`signalbox ingest`: in this process, or through the running gateway, which then holds the index."""

import asyncio
import json
from pathlib import Path
from typing import Any

from rich.markup import escape

from knowledge.ingest import IngestProgress
from signalbox.cli.client import GatewayClient, is_running, read_key
from signalbox.cli.console import err, out
from signalbox.cli.progress import ingest_bar
from signalbox.errors import UserFault
from signalbox.settings import Settings, load_settings
from signalbox.telemetry import configure_logging
from signalbox.wiring.ingesting import Ingest, ingest_folder
from signalbox.wiring.paths import Paths


def ingest(folder: Path, *, access: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Take a folder in and print the report."""
    settings = load_settings()
    configure_logging(settings.log.level, settings.log.format)
    if not folder.is_dir():
        raise UserFault(f"There is no folder {str(folder)!r}.", hint="Give the path of an existing folder.")
    wanted = Ingest(folder, access=access, dry_run=dry_run)
    with ingest_bar(f"Reading {folder.name}") as show:
        if is_running(settings.base_url):
            report = _through_gateway(settings, wanted, show)
        else:
            done = asyncio.run(ingest_folder(settings, wanted, on_progress=show))
            report = done.model_dump(mode="json")
    if as_json:
        out().print(json.dumps(report, indent=2, ensure_ascii=False), markup=False)
        return
    _print(report)


def _through_gateway(settings: Settings, wanted: Ingest, show: Any) -> dict[str, Any]:
    _, key = read_key(Paths(settings.data_dir).operator_key, None)
    body = {"path": str(wanted.folder.resolve()), "access": list(wanted.access), "dry_run": wanted.dry_run}
    report: dict[str, Any] = {}
    with GatewayClient(settings.base_url, key) as client:
        for line in client.lines("/v1/documents/ingest", body):
            if line.get("done"):
                report = line["summary"]
            elif line.get("total"):
                show(_progress(line))
    return report


def _progress(line: dict[str, Any]) -> IngestProgress:
    return IngestProgress(
        total=line["total"],
        done=line["processed"],
        taken=0,
        skipped=0,
        quarantined=0,
        chunks=0,
        current=line["document"],
    )


def _print(report: dict[str, Any]) -> None:
    console = out()
    counts = ("taken", "changed", "moved", "unchanged", "removed")
    words = ", ".join(f"{report.get(name, 0)} {name}" for name in counts if report.get(name))
    speed = (
        f" ({report['chunks'] / report['seconds']:.0f} a second)" if report.get("chunks") and report["seconds"] else ""
    )
    prefix = "Would be: " if report.get("dry_run") else ""
    console.print(
        f"{prefix}{words or 'nothing to do'}; {report.get('chunks', 0)} passages in {report['seconds']:.1f} s{speed}."
    )
    for refused in report.get("quarantined", []):
        err().print(f"[yellow]Left out[/yellow] {escape(refused['document'])}: {escape(refused['reason'])}")
    for pair in report.get("near_duplicates", []):
        err().print(f"[dim]{escape(pair['document'])} nearly repeats {escape(pair['of'])}.[/dim]")
    for warning in report.get("warnings", []):
        err().print(f"[dim]{escape(warning)}[/dim]")
