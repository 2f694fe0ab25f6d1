"""The same turn by Signalbox with everything on and by others bare, each in a process of its own; one table.

python -m bench.orchestration.compare [--venvs .venv-bench] [--only signalbox langgraph]

LangGraph and Microsoft Agent Framework are installed from PyPI into venvs of their own the first time.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.orchestration.shapes import SHAPES, TOKENS
from bench.orchestration.venvs import python_of

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {
    "bare_asyncio": "asyncio, the model calls alone",
    "signalbox": "**Signalbox**, everything on, a tool call in each step",
    "signalbox_no_tools": "**Signalbox**, everything on, no tool calls",
    "signalbox_sqlite": "Signalbox, as the first, conversations in SQLite",
    "langgraph_graph": "LangGraph, bare",
    "microsoft_agent_framework": "Microsoft Agent Framework, bare",
    "autogen_graphflow": "AutoGen GraphFlow, bare",
}
ROWS = {"even": (1, 16, 64, 256), "uneven": (1, 64)}
MOST = {"signalbox_sqlite": 64}
"""SQLite has one writer: 256 first questions of one moment are more than it takes in the seconds that we wait."""
LIMIT_S = 120


def figures(framework: str, shape: str, python: str) -> Iterator[dict[str, Any]]:
    """What the driver prints: first the versions, then a line for each number of turns."""
    turns = [str(turns) for turns in ROWS[shape] if turns <= MOST.get(framework, turns)]
    command = [python, "-m", "bench.orchestration.driver", framework, "--shape", shape, "--turns", *turns]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    yield from map(json.loads, ran.stdout.splitlines())
    if ran.returncode:
        yield {"failed": ran.stderr.strip().splitlines()[-1][:300]}


def row(name: str, shape: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    path_ms = SHAPES[shape].critical_path_s * 1000
    cells = [
        shape,
        name,
        f"{found['turns']}",
        f"{path_ms:.0f}",
        f"{found['median_ms']:.0f}",
        f"{found['largest_ms']:.0f}",
        f"{found['median_ms'] / path_ms:.2f}",
        f"{found['cpu_ms']:.1f}",
        f"{found['peak_mib']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run everything, one process after the other; print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venvs", type=Path, default=ROOT / ".venv-bench", help="where the venvs are, or are made")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of frameworks to run")
    parser.add_argument("--shape", choices=ROWS, nargs="+", default=list(ROWS))
    chosen = parser.parse_args()
    names = [name for name in FRAMEWORKS if any(part in name for part in chosen.only)]
    pythons = {name: python_of(name, chosen.venvs.resolve()) for name in names}
    versions: dict[str, str] = {"Python": platform.python_version()}
    started, load = time.monotonic(), os.getloadavg()[0]
    print("| turn | who | at once | critical path ms | median ms | largest ms | ratio | CPU ms a turn | peak MiB |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for shape in chosen.shape:
        for name in names:
            for found in figures(name, shape, pythons[name]):
                if "versions" in found:
                    versions |= found["versions"]
                elif "failed" in found:
                    print(f"| {shape} | {FRAMEWORKS[name]} | failed: {found['failed']} |", flush=True)
                else:
                    print(row(FRAMEWORKS[name], shape, found), flush=True)
    print(
        f"\n{os.cpu_count()} cores, load {load:.1f} before and {os.getloadavg()[0]:.1f} after, {TOKENS} tokens a call."
    )
    print("; ".join(f"{name} {version}" for name, version in versions.items()) + ".")
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
