"""`signalbox tools`: what the servers of mcp.json, the services of `openapi` and the agents of `a2a.agents` offer now,
and what is admitted.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

from rich.markup import escape
from rich.table import Table

from signalbox.cli.console import err, out
from signalbox.errors import NotFound
from signalbox.identity import Chain, TokenMint
from signalbox.settings import Settings, load_settings
from signalbox.telemetry import configure_logging
from signalbox.wiring.paths import Paths
from signalbox.wiring.people import OPERATOR
from signalbox.wiring.secrets import master_secret
from signalbox.wiring.sources import all_sources, reviewed_sources
from toolbus.catalogue import Catalogue, ReviewItem
from toolbus.check import CheckReport, check_source
from toolbus.listing import list_declared


@asynccontextmanager
async def _catalogue(settings: Settings) -> AsyncIterator[Catalogue]:
    paths = Paths(settings.data_dir)
    catalogue = Catalogue(paths.tools_lock, settings.toolbus)
    sources = reviewed_sources(settings, TokenMint(master_secret(paths.secret)))
    for source, declared in zip(sources, await list_declared(sources), strict=True):
        if isinstance(declared, str):
            err().print(f"[yellow]{escape(source.name)}[/yellow] {escape(declared)}")
        else:
            catalogue.declare(source.name, declared, auto_approve=source.auto_approve)
    yield catalogue


def check(server: str, *, as_json: bool) -> int:
    """Exercise one server; 1 when it should not be admitted."""
    settings = load_settings()
    configure_logging("ERROR")
    mint = TokenMint(master_secret(Paths(settings.data_dir).secret))
    report = asyncio.run(_checked(server, settings, mint))
    if as_json:
        out().print(json.dumps({**asdict(report), "passed": report.passed}, indent=2, ensure_ascii=False), markup=False)
        return int(not report.passed)
    for finding in report.findings:
        out().print(f"{finding.level:8} {escape(finding.tool or server)}: {escape(finding.text)}")
    verdict = "[green]can be admitted[/green]" if report.passed else "[red]should not be admitted[/red]"
    out().print(f"{escape(server)} {verdict} ({report.calls} calls made)")
    return int(not report.passed)


async def _checked(server: str, settings: Settings, mint: TokenMint) -> CheckReport:
    sources = {source.name: source for source in all_sources(settings, mint)}
    if server not in sources:
        known = ", ".join(sorted(sources)) or "none"
        raise NotFound(
            f"Neither {settings.mcp_file} nor openapi nor a2a.agents has {server!r}.", hint=f"There are: {known}."
        )
    return await check_source(sources[server], settings.toolbus, chain=Chain(principal=OPERATOR))


def review(*, as_json: bool) -> None:
    """Every tool of the servers that you added, those that wait for a decision first."""
    settings = load_settings()
    configure_logging("ERROR")

    async def run() -> list[ReviewItem]:
        async with _catalogue(settings) as catalogue:
            return catalogue.review()

    items = asyncio.run(run())
    if as_json:
        rows = [{"state": item.state, "note": item.note, **item.spec.model_dump(mode="json")} for item in items]
        out().print(json.dumps(rows, indent=2, ensure_ascii=False), markup=False)
        return
    if not items:
        err().print(
            f"Neither {settings.mcp_file} nor openapi nor a2a.agents adds a tool. "
            "The built-in ones are admitted with each release."
        )
        return
    table = Table("tool", "state", "changes things", "description", box=None)
    for item in items:
        changes = "no" if item.spec.read_only else "yes"
        table.add_row(item.spec.name, item.state, changes, escape(item.note or item.spec.description[:120]))
    out().print(table)


def approve(names: list[str]) -> None:
    """Admit these tools as they are now; the running system takes note at its next listing."""
    settings = load_settings()
    configure_logging("ERROR")

    async def run() -> list[str]:
        async with _catalogue(settings) as catalogue:
            return [spec.name for spec in catalogue.approve(names)]

    for name in asyncio.run(run()):
        out().print(f"approved {escape(name)}")


def revoke(names: list[str]) -> None:
    """Withdraw these tools, whether or not their servers are up; the running system takes note within seconds."""
    settings = load_settings()
    Catalogue(Paths(settings.data_dir).tools_lock, settings.toolbus).revoke(names)
    for name in names:
        out().print(f"revoked {escape(name)}")
