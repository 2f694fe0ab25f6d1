"""Runs one framework in this process, many turns at once, and prints what it took: a line of JSON for each number.

`compare` starts it, each time with the Python of the framework's own venv:
python -m bench.orchestration.driver bare_asyncio --shape even --turns 1 64
"""

import argparse
import asyncio
import gc
import importlib
import json
import logging
import statistics
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

import uvloop

from bench.orchestration.shapes import ANSWER, SHAPES

ROUNDS = 5
ENOUGH_S = 3.0
"""A row ends after so many rounds, or with the round that ends after so much time."""

Turn = Callable[[], Awaitable[str]]


async def measure(turn: Turn, turns: int) -> dict[str, float]:
    """Start `turns` at the same moment, some rounds of it."""
    walls: list[float] = []
    cpu = spent = 0.0
    rounds = 0
    while rounds < ROUNDS and spent < ENOUGH_S:
        gc.collect()
        began, before = time.perf_counter(), time.process_time()
        walls += await asyncio.gather(*(timed(turn) for _ in range(turns)))
        cpu += time.process_time() - before
        spent += time.perf_counter() - began
        rounds += 1
    return {
        "turns": turns,
        "median_ms": statistics.median(walls) * 1000,
        "largest_ms": max(walls) * 1000,
        "cpu_ms": cpu * 1000 / (turns * rounds),
        "peak_mib": peak_mib(),
    }


async def timed(turn: Turn) -> float:
    """Seconds that one turn took; it must have given the whole answer."""
    started = time.perf_counter()
    answer = await turn()
    took = time.perf_counter() - started
    if answer.strip() != ANSWER.strip():
        raise RuntimeError(f"not the answer: {answer!r}")
    return took


def peak_mib() -> float:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


async def run(framework: str, shape: str, numbers: list[int]) -> None:
    """All numbers of turns at once, smallest first: memory only grows."""
    module = importlib.import_module(f"bench.orchestration.frameworks.{framework}")
    print(json.dumps({"versions": {name: version(name) for name in module.PACKAGES}}), flush=True)
    async with module.open_turn(SHAPES[shape]) as turn:
        for _ in range(2):
            await timed(turn)
        gc.collect()
        gc.freeze()  # as `signalbox up` does; it helps everybody
        for turns in sorted(numbers):
            print(json.dumps(await measure(turn, turns)), flush=True)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("framework")
    parser.add_argument("--shape", choices=SHAPES, default="even")
    parser.add_argument("--turns", type=int, nargs="+", default=[1, 16, 64, 256])
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    uvloop.run(run(chosen.framework, chosen.shape, chosen.turns))


if __name__ == "__main__":
    main()
