"""The server: two tools over one `Assistant`, whichever transport carries them."""

from typing import Annotated, Protocol

from mcp.server.caching import CacheHint
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_servers.assistant.models import Answer, Passages

_INSTRUCTIONS = (
    "Signalbox answers questions about the organisation's own documents and operational data, with citations. "
    "Use `ask` for an answer, `search_documents` for passages to read yourself. "
    "Business actions are only proposed: a person approves them."
)
_LIST_TTL_MS = 60_000


class Assistant(Protocol):
    """What stands behind the tools: this process's turns, or a gateway elsewhere."""

    async def ask(self, context: Context, question: str, conversation_id: str | None) -> Answer:
        """Run one turn, reporting progress through `context`."""
        ...

    async def search(self, context: Context, query: str, limit: int) -> Passages:
        """The best passages that the caller may see."""
        ...


def build_server(assistant: Assistant, *, version: str) -> MCPServer:
    """An MCP server with the tools `ask` and `search_documents`."""
    server = MCPServer(
        "signalbox",
        title="Signalbox",
        version=version,
        instructions=_INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=_LIST_TTL_MS, scope="public")},
    )

    @server.tool(annotations=ToolAnnotations(title="Ask Signalbox", read_only_hint=False, destructive_hint=False))
    async def ask(
        question: Annotated[str, Field(description="The question or request, in plain words.", max_length=8000)],
        context: Context,
        conversation_id: Annotated[str | None, Field(description="From an earlier answer, to continue it.")] = None,
    ) -> Answer:
        """Ask the organisation's assistant: it plans, reads documents and data in parallel, and answers with citations.

        Actions (a ticket, a message) are proposed for a person's approval, never done by this call.
        """
        return await assistant.ask(context, question, conversation_id)

    @server.tool(annotations=ToolAnnotations(title="Search documents", read_only_hint=True, open_world_hint=False))
    async def search_documents(
        query: Annotated[str, Field(description="What to look for.", max_length=2000)],
        context: Context,
        limit: Annotated[int, Field(description="How many passages, at most.", ge=1, le=20)] = 6,
    ) -> Passages:
        """Search the organisation's documents and get the passages themselves, best first, with where they stand."""
        return await assistant.search(context, query, limit)

    return server
