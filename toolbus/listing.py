"""What sources declare right now, for the command line: connect once, list, leave."""

import asyncio
from collections.abc import Sequence

from toolbus.sources import DeclaredTool, ToolSource


async def list_declared(sources: Sequence[ToolSource]) -> list[list[DeclaredTool] | str]:
    """Per source: its tools, or why they cannot be had. No tool is called; the sources are closed."""
    return list(await asyncio.gather(*(_one(source) for source in sources)))


async def _one(source: ToolSource) -> list[DeclaredTool] | str:
    declared: list[DeclaredTool] = []

    def listed(_source: ToolSource, tools: Sequence[DeclaredTool]) -> None:
        declared[:] = tools

    try:
        await source.start(listed)
        return declared if source.status() == "up" else source.status()
    finally:
        await source.close()
