"""The stdio twin: a server for clients that only launch commands, relaying to a running gateway."""

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult
from pydantic import SecretStr

from mcp_servers.assistant.models import Answer, Passages
from signalbox.errors import ToolFault, UpstreamDown

_ASK_TIMEOUT_S = 300.0
_CONNECT_TIMEOUT_S = 10.0


class RelayAssistant:
    """Asks the gateway at `url` with one person's API key."""

    def __init__(self, url: str, key: SecretStr) -> None:
        self._url = f"{url.rstrip('/')}/mcp"
        self._key = key

    async def ask(self, context: Context, question: str, conversation_id: str | None) -> Answer:
        """Relay a question and its progress."""
        arguments = {"question": question, "conversation_id": conversation_id}
        return Answer.model_validate(await self._call(context, "ask", arguments))

    async def search(self, context: Context, query: str, limit: int) -> Passages:
        """Relay a search."""
        return Passages.model_validate(await self._call(context, "search_documents", {"query": query, "limit": limit}))

    async def _call(self, context: Context, tool: str, arguments: dict[str, object]) -> object:
        # The SDK runs these in tasks of their own: one at a time, and the answer after them, or it overtakes them.
        turn = anyio.Lock()

        async def forward(progress: float, total: float | None, message: str | None) -> None:
            async with turn:
                await context.report_progress(progress, total, message)

        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"}
        timeout = httpx2.Timeout(_ASK_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S)
        try:
            async with (
                httpx2.AsyncClient(headers=headers, timeout=timeout) as http,
                Client(streamable_http_client(self._url, http_client=http)) as client,
            ):
                result = await client.call_tool(tool, arguments, _ASK_TIMEOUT_S, forward)
                async with turn:  # whose steps have all been told by then
                    pass
        except* (httpx2.HTTPError, OSError) as group:
            raise UpstreamDown(
                f"Signalbox at {self._url!r} does not answer.", hint="Start it with `signalbox up`, or check the key."
            ) from group
        return _structured(tool, result)


def _structured(tool: str, result: CallToolResult) -> object:
    if result.is_error:
        text = " ".join(block.text for block in result.content if block.type == "text")
        raise ToolFault(text or f"{tool!r} failed.")
    return result.structured_content
