"""A batch of 1,000 lines beside 16 people, on a real vLLM: what people wait with it, and without.

    python -m bench.batch.run

One vLLM (the CPU build and the tiny model of `make vllm`, or `--vllm` and `--profile`, `--model` of your own), one
`signalbox up` on it. People ask the bare model without a batch, then while a batch of other prompts is worked on, then
without again: the two without are one baseline, so that a machine that slows down does not look like the batch. The
last line is the ratio of the 95th percentiles. The batch is followed to its end, and every line must have its answer.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from bench.batch.people import Crowd, Waits, ask_for
from bench.system import ROOT, Running, free_port, running_system
from inference.vllm.launch import Launch, VllmServer
from inference.vllm.serving_profile import find_profile

MODEL = "main"
_LIMIT = 1.2


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, default=ROOT / ".venv-vllm/bin/vllm", help="vLLM's command")
    parser.add_argument("--profile", default="ci")
    parser.add_argument("--model", type=Path, help="a model's folder; default: the tiny model, made here")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=50, help="of each of the three phases")
    parser.add_argument("--think", type=float, default=2, help="seconds, at most, between an answer and a question")
    parser.add_argument("--output-tokens", type=int, default=24)
    return parser.parse_args()


async def main(given: argparse.Namespace) -> float:
    """Start both servers, measure, print; the ratio."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        model = given.model or tiny_model(given.vllm, work / "tiny")
        launch = Launch(given.vllm, find_profile(given.profile), str(model), free_port(), stop_timeout_s=30)
        server = VllmServer(launch, log_file=work / "vllm.log")
        try:
            await server.start()
            await server.wait_ready()
            async with running_system(work, settings_for(launch.base_url)) as system:
                return await measure(given, system)
        except Exception:
            for log in ("vllm.log", "system.log"):
                print((work / log).read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            await server.stop()


def tiny_model(vllm: Path, folder: Path) -> Path:
    """Made anew: it takes seconds."""
    script = ROOT / "inference/vllm/tiny_model.py"
    subprocess.run([str(vllm.with_name("python")), str(script), str(folder)], check=True)
    return folder


def settings_for(vllm_url: str) -> dict[str, str]:
    """The system on that server, with its batch settings as they come."""
    model = {"grammar": "guidance", "parameters": {"ignore_eos": True}}
    return {
        "SIGNALBOX__INFERENCE__BASE_URL": vllm_url,
        "SIGNALBOX__INFERENCE__MODELS": json.dumps({MODEL: model}),
        "SIGNALBOX__INFERENCE__PURPOSES": json.dumps({"direct": MODEL, "batch": MODEL}),
    }


async def measure(given: argparse.Namespace, system: Running) -> float:
    """The three phases, and the batch to its end."""
    crowd = Crowd(given.users, given.think, given.output_tokens)
    await ask_for(system, crowd, 5, first=900_000_000)  # connections, prompts and caches are warm
    before = await ask_for(system, crowd, given.seconds, first=0)
    show("without", before)
    async with aiohttp.ClientSession(system.url, headers={"Authorization": f"Bearer {system.key}"}) as http:
        began = time.perf_counter()
        batch_id = await hand_in(http, crowd, given.lines)
        beside = await ask_for(system, crowd, given.seconds, first=100_000_000)
        now = await status(http, batch_id)
        show("beside a batch", beside, batch=now["status"], lines_done=now["request_counts"]["completed"])
        alone = time.perf_counter()
        done = await follow(http, batch_id)
        ended = time.perf_counter()
        rest = given.lines - now["request_counts"]["completed"]
        print(f"The other {rest} lines, alone: {ended - alone:.1f} s; all of it: {ended - began:.1f} s", flush=True)
        await check(http, done, given.lines)
    after = await ask_for(system, crowd, given.seconds, first=200_000_000)
    show("without, again", after)
    baseline = Waits(before.ms + after.ms, before.refused + after.refused)
    show("without, both", baseline)
    base, with_batch = baseline.figures(), beside.figures()
    ratio = with_batch["p95_ms"] / base["p95_ms"]
    print(f"p50 ratio {with_batch['p50_ms'] / base['p50_ms']:.3f}")
    print(f"p95 ratio {ratio:.3f} (at most {_LIMIT})")
    return ratio


async def hand_in(http: aiohttp.ClientSession, crowd: Crowd, lines: int) -> str:
    """Upload and begin."""
    content = "\n".join(json.dumps({"custom_id": str(n), "body": crowd.body(500_000_000 + n)}) for n in range(lines))
    form = aiohttp.FormData({"purpose": "batch"})
    form.add_field("file", content.encode(), filename="lines.jsonl")
    async with http.post("/v1/files", data=form) as response:
        response.raise_for_status()
        file_id = (await response.json())["id"]
    asked = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    async with http.post("/v1/batches", json=asked) as response:
        response.raise_for_status()
        return (await response.json())["id"]


async def status(http: aiohttp.ClientSession, batch_id: str) -> dict[str, Any]:
    """How far it is."""
    async with http.get(f"/v1/batches/{batch_id}") as response:
        response.raise_for_status()
        return await response.json()


async def follow(http: aiohttp.ClientSession, batch_id: str) -> dict[str, Any]:
    """Wait for its end."""
    async with asyncio.timeout(600):
        while True:
            await asyncio.sleep(0.2)
            found = await status(http, batch_id)
            if found["status"] not in ("validating", "in_progress"):
                return found


async def check(http: aiohttp.ClientSession, done: dict[str, Any], lines: int) -> None:
    """Every line has its answer, once and in order."""
    async with http.get(f"/v1/files/{done['output_file_id']}/content") as response:
        found = [json.loads(line)["custom_id"] for line in (await response.text()).splitlines()]
    if found != [str(n) for n in range(lines)] or done["status"] != "completed":
        raise RuntimeError(f"The batch is {done['status']} with {done['request_counts']}.")


def show(name: str, waits: Waits, **more: object) -> None:
    """One phase."""
    print(json.dumps({"phase": name, **waits.figures(), **more}), flush=True)


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main(options())) <= _LIMIT else 1)
