"""What servers declare right now, for the command line: connect once, list, leave."""

import asyncio
from collections.abc import Sequence

from toolbus.making import make_source
from toolbus.settings import OpenApiSpec, ServerSpec, ToolBusSettings
from toolbus.sources import DeclaredTool, ToolSource


async def list_declared(
    specs: Sequence[ServerSpec | OpenApiSpec], settings: ToolBusSettings
) -> list[tuple[ServerSpec | OpenApiSpec, list[DeclaredTool] | str]]:
    """Per server: its tools, or why they cannot be had. No tool is called, no token is minted."""
    found = await asyncio.gather(*(_one(spec, settings) for spec in specs))
    return list(zip(specs, found, strict=True))


async def _one(spec: ServerSpec | OpenApiSpec, settings: ToolBusSettings) -> list[DeclaredTool] | str:
    declared: list[DeclaredTool] = []

    def listed(_source: ToolSource, tools: Sequence[DeclaredTool]) -> None:
        declared[:] = tools

    if isinstance(spec, ServerSpec):
        spec = spec.model_copy(update={"ours": False})
    source = make_source(spec, settings)
    try:
        await source.start(listed)
        return declared if source.status() == "up" else source.status()
    finally:
        await source.close()
