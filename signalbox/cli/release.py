"""`signalbox release`: make, judge, promote and roll back what answers. docs/releases.md says how."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from signalbox.cli.console import err, out

if TYPE_CHECKING:
    from inference.registry.gate.report import GateReport
    from inference.registry.states import Standing

release_app = typer.Typer(help="Releases: model, parameters, prompts, tools and policy as one.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Prompts = Annotated[Path | None, typer.Option(help="Prompts (<role>.md) that replace those in force.")]
Policy = Annotated[Path | None, typer.Option(help="Rules that replace those in force.")]
FromSettings = Annotated[
    bool, typer.Option("--from-settings", help="Start from the settings and this version, not from the live release.")
]


@release_app.command("create")
def create(
    name: str,
    prompts: Prompts = None,
    policy: Policy = None,
    from_settings: FromSettings = False,
    note: Annotated[str, typer.Option(help="What changes, in a sentence.")] = "",
    as_json: Json = False,
) -> None:
    """Make a candidate of what is in force now, with the changes that you name."""
    from signalbox.settings import load_settings
    from signalbox.wiring.snapshot import Changes
    from signalbox.wiring.snapshot import create as make

    settings = load_settings()
    changes = Changes(prompts=prompts, policy=policy, from_settings=from_settings, note=note)
    manifest = make(settings, name, changes)
    if as_json:
        _print(manifest.model_dump(mode="json"))
        return
    folder = settings.releases.folder / name
    out().print(f"{escape(str(folder))}: {len(manifest.files)} files, {len(manifest.tools)} tools")
    err().print(f"[dim]Next: signalbox release validate {name}[/dim]")


@release_app.command("list")
def list_releases(as_json: Json = False) -> None:
    """Every release and how it stands."""
    standing = _registry().standing()
    if as_json:
        _print(_standing(standing))
        return
    table = Table("release", "state", box=None)
    table.add_row("built-in", "live" if standing.live is None else "")
    for name, state in standing.states.items():
        table.add_row(name, f"{state} ({standing.share:.0%})" if name == standing.canary else state.value)
    out().print(table)


@release_app.command("validate")
def validate(
    name: str,
    data_dir: Annotated[
        Path | None, typer.Option(help="Ask about these data instead of the demo's; no system may be using them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the evaluation gate; 1 when the release is refused."""
    from signalbox.errors import UserFault
    from signalbox.settings import load_settings
    from signalbox.telemetry import configure_logging
    from signalbox.wiring.gate import validate as run

    configure_logging("ERROR")
    if data_dir is not None and not data_dir.is_dir():
        raise UserFault(f"There is no data folder {str(data_dir)!r}.")

    def show(section: str, done: int, total: int) -> None:
        if done % 10 == 0 or done == total:
            err().print(f"[dim]{section}: {done} of {total} turns[/dim]")

    report = asyncio.run(run(load_settings(), name, show, data_dir=data_dir))
    if as_json:
        _print(report.model_dump(mode="json"))
    else:
        _show_report(report)
    raise typer.Exit(0 if report.passed else 1)


@release_app.command("promote")
def promote(
    name: str,
    canary: Annotated[float | None, typer.Option(help="Only for this share of conversations, for example 0.1.")] = None,
    as_json: Json = False,
) -> None:
    """Let a validated release answer, from the next turn on."""
    from signalbox.settings import load_settings
    from signalbox.wiring.snapshot import promote as go

    standing = go(load_settings(), name, canary)
    if as_json:
        _print(_standing(standing))
        return
    out().print(f"{escape(name)} answers {'all' if canary is None else f'{canary:.0%} of'} conversations now.")


@release_app.command("rollback")
def rollback(as_json: Json = False) -> None:
    """Take the canary back, else the live release; turns that run finish on theirs."""
    name, standing = _registry().rollback()
    if as_json:
        _print(_standing(standing))
        return
    out().print(f"{escape(name)} is retired; {escape(standing.live or 'built-in')} answers from the next turn on.")


@release_app.command("diff")
def diff(one: str, other: str, as_json: Json = False) -> None:
    """What differs between two releases."""
    found = _registry().diff(one, other)
    if as_json:
        _print(found)
        return
    for lines in found.values():
        out().print(lines, markup=False)
    if not found:
        err().print("They are the same.")


def _registry():  # its type would import the registry
    from inference.registry.registry import Registry
    from signalbox.settings import load_settings

    return Registry(load_settings().releases.folder)


def _standing(standing: "Standing") -> dict[str, Any]:
    return {
        "live": standing.live or "built-in",
        "canary": standing.canary,
        "share": standing.share,
        "earlier": list(standing.earlier),
        "releases": [{"name": name, "state": state.value} for name, state in standing.states.items()],
    }


def _show_report(report: "GateReport") -> None:
    table = Table("", "reached", "needed", "cases", "", box=None)
    for part in report.sections:
        mark = "[green]ok[/green]" if part.passed else "[red]short[/red]"
        table.add_row(part.name, f"{part.score:.2f}", f"{part.threshold:.2f}", str(part.cases), mark)
    if (latency := report.latency) is not None:
        mark = "[green]ok[/green]" if latency.passed else "[red]slow[/red]"
        times = f"{latency.median_ms:.0f} ms against {latency.live_median_ms:.0f} ms"
        table.add_row(
            "latency", f"{latency.ratio:.2f}", f"{latency.threshold:.2f}", str(latency.turns), f"{mark} {times}"
        )
    out().print(table)
    for part in report.sections:
        for failure in part.failures:
            out().print(f"{part.name} {failure.case}: {failure.why}", markup=False)
        for note in part.notes:
            out().print(f"note: {part.name} {note.case}: {note.why}", markup=False)
    if report.refusal:
        out().print(report.refusal, markup=False)
    verdict = "[green]validated[/green]" if report.passed else "[red]refused[/red]"
    out().print(f"{escape(report.release)}: {verdict} after {report.seconds:.0f} s")


def _print(data: Any) -> None:
    out().print(json.dumps(data, indent=2, ensure_ascii=False), markup=False)
