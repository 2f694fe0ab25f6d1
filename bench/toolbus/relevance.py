"""Does the tool that a message needs survive the narrowing to 20 (and to 10) of the installed tools?

python bench/toolbus/relevance.py
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import yaml

from knowledge.contracts import Embedder
from knowledge.embed.minilm import MiniLMEmbedder
from toolbus.contracts import ToolSpec
from toolbus.relevance import ToolRanker

DATA = yaml.safe_load(Path(__file__).with_name("catalogue.yaml").read_text())
TOOLS = [
    ToolSpec(
        name=f"{server}__{name}", server=server, tool=name, description=text, input_schema={}, pin=f"{server}{name}"
    )
    for server, tools in DATA["tools"].items()
    for name, text in tools.items()
]


async def score(embedder: Embedder, cases: list[list[str]], limit: int) -> tuple[float, float]:
    ranker = ToolRanker(embedder, limit)
    await ranker.narrow("warm up", TOOLS)
    hits, times = 0, []
    for message, wanted in cases:
        started = time.perf_counter()
        chosen = await ranker.narrow(message, TOOLS)
        times.append(time.perf_counter() - started)
        hits += wanted in {tool.name for tool in chosen}
    return hits / len(cases), statistics.median(times) * 1000


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        await run(MiniLMEmbedder(Path(folder)))


async def run(embedder: MiniLMEmbedder) -> None:
    print(f"{len(TOOLS)} tools")
    for split in ("cases", "second", "held_out"):
        for limit in (20, 10, 5):
            found, ms = await score(embedder, DATA[split], limit)
            print(f"{split:9} {len(DATA[split])} messages, {limit:2} offered: {found:.3f} kept the tool, {ms:.1f} ms")
    await embedder.close()


if __name__ == "__main__":
    asyncio.run(main())
