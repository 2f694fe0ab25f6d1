"""Microsoft Agent Framework, bare: `WorkflowBuilder` with fan-out and fan-in edges over an `Agent` for each node.

A workflow runs one turn at a time, so each turn builds its own, as its documentation advises.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from agent_framework import (
    Agent,
    AgentExecutor,
    AgentExecutorRequest,
    AgentExecutorResponse,
    AgentResponseUpdate,
    BaseChatClient,
    ChatResponseUpdate,
    Content,
    Executor,
    Message,
    WorkflowBuilder,
    WorkflowContext,
    handler,
)

from bench.orchestration.shapes import Shape, speak

PACKAGES = ("agent-framework-core", "uvloop")


class FixedClient(BaseChatClient):
    """A chat client that streams the same words over `latency_s`."""

    def __init__(self, latency_s: float) -> None:
        super().__init__()
        self._latency_s = latency_s

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Any:
        assert stream

        async def updates() -> AsyncIterator[ChatResponseUpdate]:
            async for piece in speak(self._latency_s):
                yield ChatResponseUpdate(role="assistant", contents=[Content.from_text(piece)])

        return self._build_response_stream(updates())


class Join(Executor):
    """Turns the findings of the last steps into one request to the agent that answers."""

    @handler
    async def join(self, findings: list[AgentExecutorResponse], ctx: WorkflowContext[AgentExecutorRequest]) -> None:
        text = "\n".join(finding.agent_response.text for finding in findings)
        await ctx.send_message(AgentExecutorRequest(messages=[Message("user", [text])]))


@asynccontextmanager
async def open_turn(shape: Shape) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Every token of every agent reaches the reader of the stream."""

    def agent(name: str, latency_s: float) -> AgentExecutor:
        return AgentExecutor(Agent(FixedClient(latency_s), "s", name=name), id=name)

    async def turn() -> str:
        planner, answer, join = agent("planner", shape.plan_s), agent("answer", shape.answer_s), Join(id="join")
        steps = {node.name: agent(node.name, node.latency_s) for node in shape.steps}
        builder = WorkflowBuilder(start_executor=planner)
        builder.add_fan_out_edges(planner, [steps[name] for name in shape.first])
        for node in shape.steps:
            for need in node.needs:
                builder.add_edge(steps[need], steps[node.name])
        builder.add_fan_in_edges([steps[name] for name in shape.last], join).add_edge(join, answer)
        said: list[str] = []
        tokens = 0
        async for event in builder.build().run("How much leave?", stream=True):
            if event.type == "output" and isinstance(event.data, AgentResponseUpdate):
                tokens += 1
                if event.executor_id == "answer":
                    said.append(event.data.text)
        assert tokens >= len(shape.steps) + 2, tokens
        return "".join(said)

    yield turn
