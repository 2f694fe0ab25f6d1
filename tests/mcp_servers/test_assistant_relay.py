"""The stdio twin as a process, before an MCP endpoint whose steps follow each other without a pause."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver import Context

from mcp_servers.assistant.models import Answer, Passages
from mcp_servers.assistant.server import build_server

ROOT = Path(__file__).parents[2]
STEPS = [f"step {number}" for number in range(20)]
pytestmark = pytest.mark.timeout(60)


class Hasty:
    async def ask(self, context: Context, question: str, conversation_id: str | None) -> Answer:
        for number, step in enumerate(STEPS):
            await context.report_progress(number, None, step)
        return Answer(text=question, conversation_id=conversation_id or "conv_new", run_id="run_1")

    async def search(self, context: Context, query: str, limit: int) -> Passages:
        raise NotImplementedError


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = build_server(Hasty(), version="0").streamable_http_app(streamable_http_path="/mcp")
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", http="h11")
    server, socket = uvicorn.Server(config), config.bind_socket()
    serving = asyncio.create_task(server.serve([socket]))
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    await serving


async def test_every_step_is_told_in_order_and_before_the_answer(url: str):
    steps: list[str | None] = []

    async def progress(_done: float, _total: float | None, message: str | None) -> None:
        steps.append(message)

    key = {"SIGNALBOX_KEY": "sk-sb-ada", "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    command = StdioServerParameters(command=sys.executable, args=["-m", "signalbox", "mcp", "--url", url], env=key)
    async with Client(command, read_timeout_seconds=30) as client:
        answer = await client.call_tool("ask", {"question": "Who?", "conversation_id": "conv_1"}, 30, progress)
    assert answer.structured_content is not None
    assert (answer.structured_content["text"], answer.structured_content["conversation_id"]) == ("Who?", "conv_1")
    assert steps == STEPS
