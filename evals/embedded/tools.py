"""Tool choice and argument filling over fictional tools; even cases were not looked at while the engine was tuned.

`python -m evals.embedded.tools [--show]`
"""

import argparse
import asyncio
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from evals.embedded.common import embedder
from inference.embedded import EmbeddedEngine
from inference.embedded.schemas import offers_of
from inference.embedded.toolchoice import Choice

HERE = Path(__file__).parent
TODAY = date(2026, 5, 8)


def judge(case: Mapping[str, Any], choice: Choice) -> str:
    """Empty when the choice is right, else what is wrong with it."""
    tools = [call.tool for call in choice.calls]
    if "not_tool" in case:
        return f"called {tools}" if set(tools) & set(case["not_tool"]) else ""
    if "ask" in case:
        named = all(name.replace("_", " ") in choice.reply for name in case["ask"])
        return "" if not tools and named else f"called {tools or choice.reply!r}"
    if "tools" in case:
        return "" if sorted(tools) == sorted(case["tools"]) else f"called {tools}"
    if tools != [case["tool"]]:
        return f"called {tools or choice.reply!r}"
    given = choice.calls[0].arguments
    wrong = [f"{key}={given.get(key)!r}" for key, value in case["arguments"].items() if given.get(key) != value]
    wrong += [
        f"{key}={given.get(key)!r}"
        for key, part in case.get("contains", {}).items()
        if part.lower() not in str(given.get(key, "")).lower()
    ]
    return ", ".join(wrong + [f"{key} is set" for key in case.get("absent", ()) if key in given])


async def run(*, show: str) -> None:
    """Score all cases by half."""
    boxes = json.loads((HERE / "toolboxes.json").read_text())
    cases = [json.loads(line) for line in (HERE / "tool_cases.jsonl").read_text().splitlines() if line.strip()]
    engine = EmbeddedEngine(embedder())
    faults: list[str] = []
    for case in cases:
        choice = await engine.tools.choose(case["wish"], offers_of(boxes[case["box"]]), TODAY)
        faults.append(judge(case, choice))
    for half, name in ((1, "tuned on (odd)"), (0, "held out (even)")):
        part = [
            (case, fault)
            for number, (case, fault) in enumerate(zip(cases, faults, strict=True), 1)
            if number % 2 == half
        ]
        right = sum(not fault for _, fault in part)
        print(f"{name}: {right}/{len(part)} = {right / len(part):.3f}")
        for case, fault in part:
            if fault and (show == "all" or (show == "odd" and half)):
                print(f"  {case['wish']!r}: {fault}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", choices=("none", "odd", "all"), default="none")
    asyncio.run(run(show=parser.parse_args().show))
