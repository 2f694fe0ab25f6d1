"""One run of everything: `python -m bench.gateway.run` (about ten minutes; `--only`, `--seconds`, `--at-once` less).

The gateway under test has core 1, load and model server share core 0. Targets are measured one after another, each
cell for all of them in turn, so that what else the machine does falls on all alike.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench.gateway.load import Shot, Taken, load, quantile
from bench.gateway.processes import start, wait_until
from bench.gateway.targets import TARGETS, Place, Target, answers
from bench.gateway.upstream import MODEL

UPSTREAM = "upstream alone"
_QUESTION = "Say in five sentences how often the northern line was late in October."
_MESSAGES = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": _QUESTION}]
SHAPES: dict[str, dict[str, Any]] = {
    "whole": {},
    "stream at once": {"stream": True, "temperature": 1},
    "stream 20 ms": {"stream": True, "temperature": 0},
}
_COLUMNS = {
    "shape": "answer",
    "at_once": "at once",
    "target": "who",
    "per_s": "requests/s",
    "ratio": "of pass-through",
    "added_p50_ms": "added p50 ms",
    "added_p99_ms": "added p99 ms",
    "added_first_ms": "first words, added p50 ms",
    "cpu_ms": "CPU ms a request",
    "cpu_ratio": "pass-through's CPU to this",
    "us_chunk": "CPU µs a token",
    "pss_mib": "PSS MiB",
    "peak_mib": "peak RSS MiB",
    "wrong": "failed",
}


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--at-once", nargs="+", type=int, default=[1, 16, 64, 256])
    parser.add_argument("--seconds", type=float, default=5, help="of each cell")
    parser.add_argument("--port", type=int, default=18400, help="and the next hundred")
    parser.add_argument("--venvs", type=Path, default=Path(".venv-bench"), help="where the others are installed")
    parser.add_argument("--out", type=Path, help="also as JSON, here")
    given = parser.parse_args()
    os.sched_setaffinity(0, {0})
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as folder, running(given, Path(folder)) as targets:
        rows = uvloop.run(measure(given, targets))
    print(f"\nload average {os.getloadavg()[0]:.1f}\n")
    show(rows)
    if given.out:
        given.out.write_text(json.dumps(rows, indent=2))


@contextmanager
def running(given: argparse.Namespace, folder: Path) -> Iterator[list[Target]]:
    """The model server, and everything in front of it."""
    with ExitStack() as stack:
        command = [sys.executable, "-m", "bench.gateway.upstream", str(given.port)]
        upstream = start("upstream", command, core=0, folder=folder, env=os.environ)
        stack.callback(upstream.stop)
        wait_until(lambda: answers(given.port, "/health", MODEL), 20, upstream)
        targets = [Target(UPSTREAM, given.port, MODEL)]
        for index, name in enumerate(given.only, start=1):
            inner = folder / name
            inner.mkdir()
            place = Place(inner, given.venvs.resolve(), given.port + index, f"http://127.0.0.1:{given.port}")
            target = TARGETS[name](place)
            stack.callback(target.stop)
            targets.append(target)
            print(f"{name} is ready", file=sys.stderr, flush=True)
        yield targets


async def measure(given: argparse.Namespace, targets: list[Target]) -> list[dict[str, Any]]:
    """Every cell, all targets in turn."""
    for target in targets:  # connections are opened, code is warm
        for shape in given.shapes:
            await load(_shot(target, shape), 4, 1)
    rows: list[dict[str, Any]] = []
    for shape in given.shapes:
        for at_once in given.at_once:
            cell = [await _cell(target, shape, at_once, given.seconds) for target in targets]
            _compare(cell)
            rows += cell
            for row in cell:
                print(json.dumps({name: row.get(name) for name in _COLUMNS}), file=sys.stderr, flush=True)
    return rows


async def _cell(target: Target, shape: str, at_once: int, seconds: float) -> dict[str, Any]:
    started = target.started
    before = started.cpu_s() if started else 0
    taken = await load(_shot(target, shape), at_once, seconds)
    used = (started.cpu_s() if started else 0) - before
    done = len(taken.whole_s)
    row: dict[str, Any] = {
        "shape": shape,
        "at_once": at_once,
        "target": target.name,
        "per_s": round(done / taken.seconds, 1),
        "wrong": sum(taken.wrong.values()) and taken.wrong,
        **_latency(taken),
    }
    if started and done:
        pss, peak = started.memory_mib()
        row |= {"cpu_ms": round(used / done * 1000, 3), "pss_mib": round(pss), "peak_mib": round(peak)}
        if SHAPES[shape].get("stream"):
            row["us_chunk"] = round(used / done / 50 * 1e6, 1)
    return row


def _latency(taken: Taken) -> dict[str, float]:
    return {
        "p50_ms": quantile(taken.whole_s, 0.5) * 1000,
        "p99_ms": quantile(taken.whole_s, 0.99) * 1000,
        "first_p50_ms": quantile(taken.first_s, 0.5) * 1000,
    }


def _compare(cell: list[dict[str, Any]]) -> None:
    """What each adds to the model server, and its rate against the bare pass-through's."""
    alone = next(row for row in cell if row["target"] == UPSTREAM)
    bare = next((row for row in cell if row["target"] == "pass-through"), {})
    for row in cell:
        for name in ("p50_ms", "p99_ms"):
            row[f"added_{name}"] = round(row[name] - alone[name], 2)
        row["added_first_ms"] = round(row["first_p50_ms"] - alone["first_p50_ms"], 2)
        if bare.get("per_s"):
            row["ratio"] = round(row["per_s"] / bare["per_s"], 3)
        if bare.get("cpu_ms") and row.get("cpu_ms"):
            row["cpu_ratio"] = round(bare["cpu_ms"] / row["cpu_ms"], 3)


def _shot(target: Target, shape: str) -> Shot:
    body = {"model": target.model, "messages": _MESSAGES, **SHAPES[shape]}
    return Shot("127.0.0.1", target.port, "/v1/chat/completions", body, target.key)


def show(rows: list[dict[str, Any]]) -> None:
    """As the table of bench/README.md."""
    print("| " + " | ".join(_COLUMNS.values()) + " |\n|" + "---|" * len(_COLUMNS))
    for row in rows:
        print("| " + " | ".join(_said(row.get(name)) for name in _COLUMNS) + " |")


def _said(value: Any) -> str:
    return "" if value is None or value != value else str(value)  # noqa: PLR0124 - nan is not itself


if __name__ == "__main__":
    main()
