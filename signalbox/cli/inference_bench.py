"""`signalbox inference bench`: a measured load on the model behind `direct`, through our own client."""

import asyncio
import json
from dataclasses import asdict
from typing import Any

from autogen_core.models import ChatCompletionClient
from prometheus_client import CollectorRegistry
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from inference.contracts import CallScope, UsageMeter
from inference.router import RoutedModels
from inference.settings import EMBEDDED, InferenceSettings
from inference.vllm.load import LoadReport, LoadShape, run_load
from inference.vllm.metrics import ServerMetrics, fetch_metrics
from signalbox.cli.console import err, out
from signalbox.errors import UpstreamDown, UserFault
from signalbox.settings import load_settings
from signalbox.telemetry import configure_logging

_HOW = {
    "requests": "requests answered",
    "failed": "requests failed",
    "seconds": "seconds",
    "requests_per_s": "requests/s",
    "output_tokens_per_s": "output tokens/s",
    "prompt_tokens": "prompt tokens",
    "output_tokens": "output tokens",
    "first_token_p50_ms": "first token p50, ms",
    "first_token_p95_ms": "first token p95, ms",
    "duration_p50_ms": "whole answer p50, ms",
    "duration_p95_ms": "whole answer p95, ms",
    "prefix_hit_share": "prompt tokens from the prefix cache",
}


def bench(shape: LoadShape, *, as_json: bool) -> int:
    """Measure and print; 1 when a request failed."""
    loaded = load_settings()
    configure_logging("ERROR", loaded.log.format)  # failures are counted in the report
    settings = loaded.inference
    if settings.for_purpose("direct").model == EMBEDDED:
        raise UserFault("`direct` is served by the embedded engine.", hint="Set inference.base_url to a model server.")
    report, prefix_hit_share = asyncio.run(_measure(settings, shape))
    figures = {**asdict(report), "prefix_hit_share": prefix_hit_share}
    if as_json:
        out().print(json.dumps(figures, indent=2), markup=False)
    else:
        _print(figures)
    return int(report.failed > 0)


async def _measure(settings: InferenceSettings, shape: LoadShape) -> tuple[LoadReport, float | None]:
    def no_embedded(_scope: CallScope) -> ChatCompletionClient:
        raise UpstreamDown("The model server did not answer.", hint="See `signalbox inference status`.")

    def client(number: int) -> ChatCompletionClient:
        return models.client("direct", CallScope("bench", f"bench {number}", "", UsageMeter()))

    model = settings.all_models()[settings.for_purpose("direct").model]
    parameters: dict[str, Any] = {"max_tokens": shape.output_tokens}
    if model.dialect == "vllm":
        parameters |= {"min_tokens": shape.output_tokens, "ignore_eos": True}
    models = RoutedModels(settings, embedded=no_embedded, registry=CollectorRegistry())
    try:
        await models.start()
        before = await _figures(settings)
        with Progress(console=err(), transient=True, disable=not err().is_terminal) as progress:
            bar = progress.add_task("Asking", total=shape.requests)
            report = await run_load(client, shape, parameters=parameters, on_done=lambda: progress.advance(bar))
        return report, _hit_share(before, await _figures(settings))
    finally:
        await models.close()


async def _figures(settings: InferenceSettings) -> list[ServerMetrics | None]:
    return await asyncio.gather(*(fetch_metrics(backend) for backend in settings.all_backends()))


def _hit_share(before: list[ServerMetrics | None], after: list[ServerMetrics | None]) -> float | None:
    pairs = [(one, two) for one, two in zip(before, after, strict=True) if one and two]
    queried = sum(two.prefix_queried_tokens - one.prefix_queried_tokens for one, two in pairs)
    hit = sum(two.prefix_hit_tokens - one.prefix_hit_tokens for one, two in pairs)
    return round(hit / queried, 3) if queried > 0 else None


def _print(figures: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False)
    for name, words in _HOW.items():
        value = figures[name]
        table.add_row(words, "–" if value is None else f"{value:.0%}" if name == "prefix_hit_share" else f"{value:,}")
    out().print(table)
    for error in figures["errors"]:
        err().print(f"[red]{escape(error)}[/red]")
