"""The knowledge server: search, read and list for everybody, ingest and upkeep for operators."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.mcpserver import MCPServer

from knowledge.service import KnowledgeService
from mcp_servers.hosting import Caller
from mcp_servers.knowledge.desk import IngestDesk
from mcp_servers.knowledge.listing import DocumentListing
from mcp_servers.knowledge.operating import OperatingTools
from mcp_servers.knowledge.reading import ReadingTools

_INSTRUCTIONS = "The organisation's documents. Search first, cite passages by [#ref], read on where a passage ends."


def build_server(service: KnowledgeService, caller: Caller, desk: IngestDesk) -> MCPServer[Any]:
    """The server over a service; the service starts and closes with it."""

    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[KnowledgeService]:
        await service.start()
        keeping = asyncio.create_task(desk.keep_sources_up(), name="knowledge-sources")
        try:
            yield service
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await service.close()

    server: MCPServer[Any] = MCPServer(
        "knowledge",
        title="Knowledge",
        instructions=_INSTRUCTIONS,
        log_level="WARNING",
        lifespan=lifespan,
        middleware=[DocumentListing(service, caller)],
    )
    ReadingTools(service, caller).register(server)
    OperatingTools(service, caller, desk).register(server)
    return server
