"""AutoGen's own graph of agents, bare: `DiGraphBuilder`, `GraphFlow`, an `AssistantAgent` for each node.

A team holds the state of its run, so each turn builds its own; one at a time is all that a team allows.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow

from bench.orchestration.model import FixedClient
from bench.orchestration.shapes import Shape

PACKAGES = ("autogen-agentchat", "uvloop")


@asynccontextmanager
async def open_turn(shape: Shape) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Every token of every agent reaches the reader of the stream."""

    def agent(name: str, latency_s: float) -> AssistantAgent:
        return AssistantAgent(name, FixedClient(latency_s), model_client_stream=True, system_message="s")

    async def turn() -> str:
        planner, answer = agent("planner", shape.plan_s), agent("answer", shape.answer_s)
        steps = {node.name: agent(node.name, node.latency_s) for node in shape.steps}
        graph = DiGraphBuilder()
        for each in (planner, *steps.values(), answer):
            graph.add_node(each)
        for name in shape.first:
            graph.add_edge(planner, steps[name])
        for node in shape.steps:
            for need in node.needs:
                graph.add_edge(steps[need], steps[node.name])
        for name in shape.last:
            graph.add_edge(steps[name], answer)
        flow = GraphFlow(participants=graph.get_participants(), graph=graph.build())
        result: TaskResult | None = None
        async for message in flow.run_stream(task="How much leave?"):
            if isinstance(message, TaskResult):
                result = message
        assert result is not None
        return next(
            message.to_model_text()  # type: ignore[union-attr]
            for message in reversed(result.messages)
            if message.source == "answer"
        )

    yield turn
