"""The clients inside real AutoGen agents: streaming, with a tool, with structured output, stopped midway."""

import asyncio
import json

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import (
    ModelClientStreamingChunkEvent,
    StructuredMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from autogen_core import CancellationToken
from pydantic import BaseModel

from tests.inference.peer import Script


class Plan(BaseModel):
    steps: list[str]


async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def add_then_say(body):
    """A model that adds with the tool, then says what the tool said."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return Script(pieces=("The sum", " is ", last["content"]))
    return Script(pieces=(), reasoning=("I need the tool.",), calls=[("add", json.dumps({"a": 2, "b": 3}))])


def agent(models, scope, **options):
    client = models.client("specialist", scope)
    return AssistantAgent("specialist", model_client=client, system_message="Rules.", **options)


def last_text(result):
    message = result.messages[-1]
    assert isinstance(message, TextMessage)
    return message.content


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_agent_uses_a_tool_and_answers(peer, make_models, scope, streamed):
    peer.script = add_then_say
    models = make_models(base_url=peer.url, model="test-model")
    worker = agent(models, scope, tools=[add], max_tool_iterations=3, model_client_stream=streamed)
    seen = [message async for message in worker.run_stream(task="What is 2 + 3?")]
    result = seen[-1]
    assert isinstance(result, TaskResult)
    kinds = [type(message) for message in result.messages]
    assert kinds == [TextMessage, ThoughtEvent, ToolCallRequestEvent, ToolCallExecutionEvent, TextMessage]
    assert last_text(result) == "The sum is 5"
    chunks = [message.content for message in seen if isinstance(message, ModelClientStreamingChunkEvent)]
    assert chunks == (["The sum", " is ", "5"] if streamed else [])
    usage = result.messages[-1].models_usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (11, 3)
    assert scope.meter.usage.model_calls == 2
    second = peer.requests[1].body["messages"]
    assert [message["role"] for message in second] == ["system", "user", "assistant", "tool"]
    assert second[3]["content"] == "5"
    assert second[2]["reasoning"] == "I need the tool."
    assert not any("name" in message for message in second)


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_agent_returns_a_structured_message(peer, make_models, scope, streamed):
    peer.script = Script(pieces=('{"steps": ', '["search"]}'))
    models = make_models(base_url=peer.url, model="test-model")
    planner = agent(models, scope, output_content_type=Plan, model_client_stream=streamed)
    result = await planner.run(task="Plan it.")
    assert isinstance(result.messages[-1], StructuredMessage)
    assert result.messages[-1].content == Plan(steps=["search"])


async def test_stopping_an_agent_closes_its_request(peer, make_models, scope):
    peer.script = Script(pieces=["word "] * 1000, between_s=0.01)
    models = make_models(base_url=peer.url, model="test-model")
    worker = agent(models, scope, model_client_stream=True)
    token = CancellationToken()

    async def run():
        async for _ in worker.run_stream(task="Talk.", cancellation_token=token):
            pass

    task = asyncio.create_task(run())
    async with asyncio.timeout(2):
        while not peer.in_flight:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        token.cancel()
        while not peer.disconnects:
            await asyncio.sleep(0.005)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_embedded_slot_serves_an_agent_in_the_same_way(make_models, scope):
    from tests.inference.scripted import ScriptedClient

    models = make_models(embedded=lambda s: ScriptedClient(s, "From here."))
    worker = agent(models, scope, model_client_stream=True)
    result = await worker.run(task="Hello?")
    assert last_text(result) == "From here."
