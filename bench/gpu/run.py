"""One vLLM with the shape of a real model and dummy weights; the same load on it raw, and through Signalbox.

    python -m bench.gpu.run --vllm .venv-vllm/bin/vllm --shape qwen3-30b-a3b --concurrency 1 16 64 128

Rows: `raw` is vLLM alone. `direct` is the same load through the gateway: key, limits, run, reviewer, stream. `turns`
are whole turns of the assistant, in tokens that vLLM generated for them, by its own count. A ratio is tokens a second
against `raw` at the same concurrency in the same run. Random weights write noise, so plans fail or are short and
experts are chosen evenly: the turns row shows cost, not quality.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.gpu.openai_load import Target, load
from bench.system import ROOT, free_port, running_system
from inference.settings import BackendSettings
from inference.vllm.launch import Launch, VllmServer
from inference.vllm.load import LoadShape
from inference.vllm.metrics import ServerMetrics, fetch_metrics
from inference.vllm.serving_profile import find_profile

MODEL = "bench"


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, default=ROOT / ".venv-vllm/bin/vllm", help="vLLM's command")
    parser.add_argument("--shape", default="qwen3-30b-a3b", help="a name in bench/gpu/shapes.json")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64, 128])
    parser.add_argument("--requests", type=int, default=4, help="for each place of the concurrency")
    parser.add_argument("--prompt-words", type=int, default=700)
    parser.add_argument("--shared-words", type=int, default=500)
    parser.add_argument("--output-tokens", type=int, default=256)
    parser.add_argument("--turns", type=int, default=8, help="whole turns for each concurrency; 0 leaves them out")
    parser.add_argument("--extra", nargs="*", default=[], help="more for `vllm serve`, written --extra=--flag=value")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    return parser.parse_args()


async def main(given: argparse.Namespace) -> None:
    """Make the model, start the server and the system, measure, print."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        launch = prepare(given, work)
        server = VllmServer(launch, log_file=work / "vllm.log")
        try:
            started = time.monotonic()
            await server.start()
            await server.wait_ready()
            print(f"vLLM is ready after {time.monotonic() - started:.0f} s", flush=True)
            rows = await measure(given, launch.base_url, work)
        except Exception:
            print((work / "vllm.log").read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            await server.stop()
    show(rows)
    if given.out:
        given.out.write_text(json.dumps({"shape": given.shape, "rows": rows}, indent=2))


def prepare(given: argparse.Namespace, work: Path) -> Launch:
    """The model's folder, and how it is served."""
    shape = json.loads(Path(__file__).with_name("shapes.json").read_text())[given.shape]
    script = Path(__file__).with_name("make_model.py")
    subprocess.run([str(given.vllm.with_name("python")), str(script), given.shape, str(work / "model")], check=True)
    extra = ["--load-format", "dummy", "--served-model-name", MODEL, *given.extra]
    profile = find_profile(shape["profile"])
    return Launch(given.vllm, profile, str(work / "model"), free_port(), extra=extra, stop_timeout_s=30)


async def measure(given: argparse.Namespace, vllm_url: str, work: Path) -> list[dict[str, Any]]:
    """Every row."""
    fixed = {"max_tokens": given.output_tokens, "min_tokens": given.output_tokens, "ignore_eos": True}
    rows: list[dict[str, Any]] = []
    async with running_system(work, settings_for(vllm_url, fixed)) as system:
        raw = Target(vllm_url, MODEL, parameters=fixed)
        direct = Target(system.url, "direct", key=system.key)
        first = 0
        await load(raw, LoadShape(8, 8, 50, 40, 8))  # kernels are compiled, connections opened
        for concurrency in given.concurrency:
            size = given.requests * concurrency
            shape = LoadShape(size, concurrency, given.prompt_words, given.shared_words, given.output_tokens)
            for name, target in (("raw", raw), ("direct", direct)):
                rows.append(await row(name, vllm_url, target, shape, first))
                first += size
            if given.turns:
                turns = replace(shape, requests=given.turns, concurrency=min(concurrency, given.turns))
                rows.append(await row("turns", vllm_url, replace(direct, model="signalbox"), turns, first))
                first += given.turns
    return with_ratios(rows)


async def row(name: str, vllm_url: str, target: Target, shape: LoadShape, first: int) -> dict[str, Any]:
    """One load, with vLLM's own count of what it did."""
    before = await figures(vllm_url)
    outcome = await load(target, shape, first=first)
    after = await figures(vllm_url)
    generated = after.generated_tokens - before.generated_tokens
    hit_share = after.prefix_hit_share_since(before)
    measured = {
        "case": name,
        "concurrency": shape.concurrency,
        **outcome.figures(),
        "vllm_generated_tokens_per_s": round(generated / outcome.seconds, 1),
        "prefix_hit_share": None if hit_share is None else round(hit_share, 3),
    }
    print(json.dumps(measured), flush=True)
    return measured


async def figures(vllm_url: str) -> ServerMetrics:
    """The server's counters now."""
    metrics = await fetch_metrics(BackendSettings(base_url=vllm_url))
    if metrics is None:
        raise RuntimeError("vLLM shows no metrics.")
    return metrics


def with_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tokens that vLLM generated a second, against the raw load of the same size."""
    raw = {row["concurrency"]: row["vllm_generated_tokens_per_s"] for row in rows if row["case"] == "raw"}
    rate = "vllm_generated_tokens_per_s"
    return [
        {**row, "ratio_to_raw": round(row[rate] / raw[row["concurrency"]], 3) if raw.get(row["concurrency"]) else None}
        for row in rows
    ]


def settings_for(vllm_url: str, fixed: dict[str, Any]) -> dict[str, str]:
    """The system on that server."""
    model = {"served_name": MODEL, "parameters": {"max_tokens": 512}}
    return {
        "SIGNALBOX__INFERENCE__BASE_URL": vllm_url,
        "SIGNALBOX__INFERENCE__MODEL": MODEL,
        "SIGNALBOX__INFERENCE__MODELS": json.dumps({MODEL: model}),
        "SIGNALBOX__INFERENCE__PURPOSES": json.dumps({"direct": {"model": MODEL, "parameters": fixed}}),
        "SIGNALBOX__INFERENCE__LIMITS": json.dumps({"max_in_flight_per_backend": 1024, "max_queued_per_tenant": 256}),
    }


def show(rows: list[dict[str, Any]]) -> None:
    """As the table of bench/README.md."""
    names = {
        "case": "case",
        "concurrency": "at once",
        "requests": "done",
        "failed": "failed",
        "requests_per_s": "requests/s",
        "vllm_generated_tokens_per_s": "tokens/s generated",
        "first_text_p50_ms": "first text p50 ms",
        "first_text_p95_ms": "p95 ms",
        "prefix_hit_share": "prefix hits",
        "ratio_to_raw": "ratio to raw",
    }
    print("\n| " + " | ".join(names.values()) + " |\n|" + "---|" * len(names))
    for measured in rows:
        print("| " + " | ".join(str(measured[name]) for name in names) + " |")


if __name__ == "__main__":
    asyncio.run(main(options()))
