"""Routing of messages to specialists by their descriptions; even cases were not looked at while the engine was tuned.

`python -m evals.embedded.routing [--show odd]`. Exact: the specialists are exactly the wanted ones. Covered: at least.
"""

import argparse
import asyncio
import json
from pathlib import Path

from evals.embedded.common import embedder
from inference.embedded import EmbeddedEngine
from inference.embedded.prompt_reader import Prompt

HERE = Path(__file__).parent


async def run(*, show: str) -> None:
    """Score all cases by half."""
    teams = json.loads((HERE / "specialists.json").read_text())
    cases = [json.loads(line) for line in (HERE / "routing_cases.jsonl").read_text().splitlines() if line.strip()]
    engine = EmbeddedEngine(embedder())
    chosen: list[set[str]] = []
    for case in cases:
        routing = await engine.router.route(Prompt(question=case["message"], specialists=tuple(teams[case["team"]])))
        chosen.append({name for route in routing.routes for name in route.specialists})
    for half, name in ((1, "tuned on (odd)"), (0, "held out (even)")):
        part = [pair for number, pair in enumerate(zip(cases, chosen, strict=True), 1) if number % 2 == half]
        exact = sum(set(case["want"]) == got for case, got in part)
        covered = sum(set(case["want"]) <= got and bool(case["want"]) == bool(got) for case, got in part)
        print(f"{name}: exact {exact}/{len(part)} = {exact / len(part):.3f}, covered {covered / len(part):.3f}")
        for case, got in part:
            if set(case["want"]) != got and (show == "all" or (show == "odd" and half)):
                print(f"  {case['message']!r}: {sorted(got)}, wanted {case['want']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", choices=("none", "odd", "all"), default="none")
    asyncio.run(run(show=parser.parse_args().show))
