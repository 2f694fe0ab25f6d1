"""A real AutoGen agent on the workbench: what made it hang for ever must be a result (notes on autogen#7956)."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import TextMessage, ToolCallExecutionEvent
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,
    ModelInfo,
    RequestUsage,
)

from tests.toolbus.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(30)]


class Scripted(ChatCompletionClient):
    """Calls the given tool with the given raw arguments once, then says that it is done."""

    def __init__(self, tool: str, *arguments: str) -> None:
        self._calls = [FunctionCall(id=f"c{number}", name=tool, arguments=raw) for number, raw in enumerate(arguments)]
        self._replies: list[Any] = [self._calls, "done"]
        self.offered: list[str] = []

    async def create(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = (), **_: Any) -> CreateResult:
        self.offered = [tool["name"] for tool in tools]
        content = self._replies.pop(0)
        reason = "stop" if isinstance(content, str) else "function_calls"
        return CreateResult(finish_reason=reason, content=content, usage=RequestUsage(0, 0), cached=False)

    async def create_stream(self, *_: Any, **__: Any) -> AsyncGenerator[str | CreateResult, None]:  # type: ignore[override]
        raise NotImplementedError
        yield ""

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def count_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        return 0

    def remaining_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        return 1000

    @property
    def capabilities(self) -> ModelCapabilities:  # type: ignore[override]
        return self.model_info  # type: ignore[return-value]

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False, function_calling=True, json_output=False, family="unknown", structured_output=False
        )

    def dump(self) -> Mapping[str, Any]:
        return {}


async def run(
    world: World, tool: str, *arguments: str, token: CancellationToken | None = None
) -> list[tuple[bool, str]]:
    workbench = await world.bus.workbench(world.context(), ["probe__*"])
    agent = AssistantAgent("tester", Scripted(tool, *arguments), workbench=workbench, max_tool_iterations=3)
    async with asyncio.timeout(5):
        response = await agent.on_messages([TextMessage(content="go", source="user")], token or CancellationToken())
    results = [
        result
        for event in response.inner_messages or ()
        if isinstance(event, ToolCallExecutionEvent)
        for result in event.content
    ]
    return [(bool(result.is_error), result.content) for result in results]


@pytest.mark.parametrize("raw", ["Infinity", "3", "[1]", '"text"', "NaN", "null", "{"])
async def test_arguments_that_are_no_object_do_not_hang_the_agent(shared: World, raw: str) -> None:
    ((is_error, _),) = await run(shared, "probe__add", raw)
    assert is_error


async def test_calls_side_by_side_each_get_their_own_result(shared: World) -> None:
    results = await run(shared, "probe__add", '{"a": 1, "b": 1}', '{"a": 2}', '{"a": 3, "b": 3}')
    assert [is_error for is_error, _ in results] == [False, True, False]
    assert (results[0][1], results[2][1]) == ('{"total": 2}', '{"total": 6}')


async def test_a_tool_that_raises_and_one_that_is_not_there_do_not_hang_the_agent(shared: World) -> None:
    assert (await run(shared, "probe__boom", "{}"))[0][0]
    assert (await run(shared, "probe__none", "{}"))[0][0]


async def test_cancelling_the_token_in_a_tool_call_ends_the_agent_and_the_tool(shared: World) -> None:
    shared.log.write_text("")
    token = CancellationToken()
    running = asyncio.create_task(run(shared, "probe__slow", '{"seconds": 60}', token=token))
    await shared.until_noted("slow start")
    token.cancel()
    await asyncio.wait([running], timeout=3)
    assert running.done()
    await shared.until_noted("slow cancelled CancelledError")
    if not running.cancelled() and running.exception() is None:
        assert running.result()[0][0]
