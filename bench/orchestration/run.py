"""Turns over a model of fixed latency: wall against the critical path, and processor time for each turn.

python -m bench.orchestration.run --turns 1 16 64 --rounds 5
"""

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog
import uvloop

from bench.orchestration import options
from bench.orchestration.model import FixedModels

LATENCY_S = 0.2
CASES: dict[str, tuple[Callable[[FixedModels], AbstractAsyncContextManager[options.Turn]], int]] = {
    "asyncio alone": (options.asyncio_alone, 3),
    "Signalbox, conversations in memory": (lambda models: options.ours(models, stored=False), 3),
    "Signalbox, conversations in SQLite": (options.ours, 3),
    "Signalbox, SQLite, a tool call in two steps": (lambda models: options.ours(models, tools=True), 4),
    "AutoGen GraphFlow": (options.graphflow, 3),
}


async def measure(name: str, turns: int, rounds: int, tokens: int) -> tuple[float, float, float]:
    """Median and largest wall time of a turn in ms, and processor ms for each turn."""
    build, _ = CASES[name]
    models = FixedModels(latency_s=LATENCY_S, tokens=tokens, plan=options.PLAN)
    walls: list[float] = []
    cpu = 0.0
    async with build(models) as turn:
        await turn()
        for _ in range(rounds):
            gc.collect()
            before = time.process_time()
            walls += await asyncio.gather(*(_timed(turn) for _ in range(turns)))
            cpu += time.process_time() - before
    return statistics.median(walls) * 1000, max(walls) * 1000, cpu * 1000 / (turns * rounds)


async def _timed(turn: options.Turn) -> float:
    started = time.perf_counter()
    await turn()
    return time.perf_counter() - started


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=20, help="tokens that each model call streams")
    parser.add_argument("--only", default="", help="part of a case's name")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    print(f"model latency {LATENCY_S * 1000:.0f} ms, {chosen.tokens} tokens a call, {chosen.rounds} rounds")
    print("| case | turns at once | critical path ms | median ms | largest ms | ratio | CPU ms a turn |")
    print("|---|---|---|---|---|---|---|")
    for name, (_, depth) in CASES.items():
        for turns in chosen.turns if chosen.only in name else ():
            median, largest, cpu = uvloop.run(measure(name, turns, chosen.rounds, chosen.tokens))
            path = depth * LATENCY_S * 1000
            print(
                f"| {name} | {turns} | {path:.0f} | {median:.0f} | {largest:.0f} | {median / path:.2f} | {cpu:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
