"""`signalbox inference status`: the model servers of the settings, as they are now."""

import asyncio
import json
from dataclasses import asdict, dataclass

from prometheus_client import CollectorRegistry
from rich.markup import escape

from inference.backends.fleet import Fleet
from inference.settings import InferenceSettings
from inference.telemetry import InferenceMetrics
from inference.vllm.metrics import ServerMetrics, fetch_metrics
from signalbox.cli.console import out
from signalbox.settings import load_settings
from signalbox.telemetry import configure_logging


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
    loaded = load_settings()
    configure_logging("ERROR", loaded.log.format)  # what is down is said below
    settings = loaded.inference
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
    for backend in found:
        colour = "green" if backend.state == "up" else "red"
        parts = [f"[{colour}]{escape(backend.state)}[/{colour}]"]
        if backend.models:
            parts.append(escape(", ".join(backend.models)))
        if metrics := backend.metrics:
            parts.append(f"{metrics.running} running, {metrics.waiting} waiting")
            parts.append(f"cache {metrics.cache_used_share:.0%} used")
            if metrics.prefix_queried_tokens:
                parts.append(f"prefix hits {metrics.prefix_hit_tokens / metrics.prefix_queried_tokens:.0%}")
        out().print(f"[bold]{escape(backend.name)}[/bold]  {' · '.join(parts)}")
        if backend.url != backend.name:
            out().print(f"[dim]  {escape(backend.url)}[/dim]")
