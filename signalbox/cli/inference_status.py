"""`signalbox inference status`: the model servers of the settings, as they are now."""

import asyncio
import json
from dataclasses import asdict, dataclass

from prometheus_client import CollectorRegistry
from rich.markup import escape
from rich.table import Table

from inference.backends.fleet import Fleet
from inference.settings import InferenceSettings
from inference.telemetry import InferenceMetrics
from inference.vllm.metrics import ServerMetrics, fetch_metrics
from signalbox.cli.console import out
from signalbox.settings import load_settings


@dataclass(frozen=True)
class BackendStatus:
    """One backend; `metrics` only where it is a vLLM that shows them to us."""

    name: str
    url: str
    state: str
    models: tuple[str, ...]
    metrics: ServerMetrics | None


def status(*, as_json: bool) -> int:
    """Print every backend; 1 when one is not up."""
    settings = load_settings().inference
    found = asyncio.run(_ask(settings)) if settings.all_backends() else []
    if as_json:
        out().print(json.dumps([asdict(backend) for backend in found], indent=2), markup=False)
    elif not found:
        out().print("No model server is set (inference.base_url); the embedded engine answers everything.")
    else:
        _print(found)
    return int(any(backend.state != "up" for backend in found))


async def _ask(settings: InferenceSettings) -> list[BackendStatus]:
    fleet = Fleet(settings, InferenceMetrics(CollectorRegistry()))
    backends = settings.all_backends()
    try:
        await fleet.check()
        figures = await asyncio.gather(*(_figures(fleet, backend.label, settings) for backend in backends))
    finally:
        await fleet.close()
    return [
        BackendStatus(
            backend.label,
            str(backend.unix_socket or backend.base_url),
            fleet.replicas[backend.label].state,
            fleet.replicas[backend.label].models or (),
            metrics,
        )
        for backend, metrics in zip(backends, figures, strict=True)
    ]


async def _figures(fleet: Fleet, label: str, settings: InferenceSettings) -> ServerMetrics | None:
    if fleet.replicas[label].state != "up":
        return None
    return await fetch_metrics(next(backend for backend in settings.all_backends() if backend.label == label))


def _print(found: list[BackendStatus]) -> None:
    table = Table("backend", "state", "models", "running", "waiting", "cache used", "prefix hits", box=None)
    for backend in found:
        colour = "green" if backend.state == "up" else "red"
        figures = ["–"] * 4
        if metrics := backend.metrics:
            queried = metrics.prefix_queried_tokens
            hits = f"{metrics.prefix_hit_tokens / queried:.0%}" if queried else "–"
            figures = [str(metrics.running), str(metrics.waiting), f"{metrics.cache_used_share:.0%}", hits]
        state = f"[{colour}]{escape(backend.state)}[/{colour}]"
        table.add_row(escape(f"{backend.name} {backend.url}"), state, escape(", ".join(backend.models)), *figures)
    out().print(table)
