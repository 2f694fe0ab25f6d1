"""The other faces of the same system: A2A 1.0 and MCP, with the SDKs' own clients."""

import sys

import httpx
import httpx2
import pytest
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.helpers import get_stream_response_text, new_text_message
from a2a.types import Role, SendMessageRequest, TaskState
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests.system.conftest import ROOT, Running, environment

pytestmark = pytest.mark.timeout(200)


async def test_another_agent_finds_the_card_and_gets_a_streamed_answer(system: Running) -> None:
    headers = {"Authorization": f"Bearer {system.keys['ada']}"}
    async with httpx.AsyncClient(timeout=60, headers=headers) as http:
        card = await A2ACardResolver(http, system.url).get_agent_card()
        client = ClientFactory(ClientConfig(httpx_client=http, supported_protocol_bindings=["JSONRPC"])).create(card)
        message = new_text_message("How many days a week may I work remotely?", role=Role.ROLE_USER)
        events = [event async for event in client.send_message(SendMessageRequest(message=message))]
    assert "knowledge" in [skill.id for skill in card.skills]
    assert events[0].HasField("task")
    assert "2 days" in "".join(get_stream_response_text(event) or "" for event in events)
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


async def test_an_action_over_a2a_asks_and_a_yes_carries_it_out(system: Running) -> None:
    headers = {"Authorization": f"Bearer {system.keys['ada']}"}
    async with httpx.AsyncClient(timeout=60, headers=headers) as http:
        card = await A2ACardResolver(http, system.url).get_agent_card()
        client = ClientFactory(ClientConfig(httpx_client=http, supported_protocol_bindings=["JSONRPC"])).create(card)
        asked = new_text_message("Open a ticket: the gate in Ghent does not close", role=Role.ROLE_USER)
        events = [event async for event in client.send_message(SendMessageRequest(message=asked))]
        task = events[0].task
        assert events[-1].status_update.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
        yes = new_text_message("yes", role=Role.ROLE_USER, task_id=task.id, context_id=task.context_id)
        after = [event async for event in client.send_message(SendMessageRequest(message=yes))]
    assert after[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    assert "gate in Ghent" in "".join(get_stream_response_text(event) or "" for event in after)


async def test_without_a_key_only_the_card_is_public(system: Running) -> None:
    async with httpx.AsyncClient(base_url=system.url, timeout=20) as http:
        assert (await http.get("/.well-known/agent-card.json")).status_code == 200
        assert (await http.post("/a2a/jsonrpc", json={})).status_code == 401
        assert (await http.post("/mcp", json={})).status_code == 401


async def test_an_ide_asks_and_searches_over_mcp(system: Running) -> None:
    headers = {"Authorization": f"Bearer {system.keys['ada']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{system.url}/mcp", http_client=http)) as client,
    ):
        tools = [tool.name for tool in (await client.list_tools()).tools]
        answer = await client.call_tool("ask", {"question": "How many days a week may I work remotely?"})
        found = await client.call_tool("search_documents", {"query": "carry over leave days", "limit": 3})
    assert tools == ["ask", "search_documents"]
    assert answer.structured_content is not None
    assert "2 days" in answer.structured_content["text"]
    assert answer.structured_content["citations"]
    assert found.structured_content is not None
    assert found.structured_content["passages"][0]["document"] == "people/leave-policy.html"


async def test_a_desktop_client_that_only_launches_commands_asks_over_stdio(system: Running) -> None:
    variables = environment(system.data_dir, 0) | {"SIGNALBOX_KEY": system.keys["ada"]}
    arguments = ["-m", "signalbox", "mcp", "--url", system.url]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=variables, cwd=str(ROOT))
    async with Client(command, read_timeout_seconds=60) as client:
        steps: list[str | None] = []

        async def progress(_done: float, _total: float | None, message: str | None) -> None:
            steps.append(message)

        question = {"question": "How many open orders are there in Porto?"}
        answer = await client.call_tool("ask", question, 60, progress)
        wrong = await client.call_tool("ask", {"question": "hello", "conversation_id": "conv_of_somebody_else"})
    assert answer.structured_content is not None
    assert "open at Porto" in answer.structured_content["text"]
    assert steps[:2] == ["data: started", "data: ok"]
    assert wrong.is_error
