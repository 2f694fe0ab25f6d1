"""LangGraph, bare: a compiled `StateGraph` with asynchronous nodes that call a LangChain chat model.

Fan-out by edges, fan-in by an edge from several nodes, no checkpointer. Tokens are read with
`stream_mode="messages"`, the state at the end with `"values"`, as its documentation shows.
"""

import operator
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.graph import END, START, StateGraph

from bench.orchestration.shapes import Shape, speak

PACKAGES = ("langgraph", "langchain-core", "uvloop")


class State(TypedDict):
    """What flows through the graph."""

    question: str
    plan: str
    findings: Annotated[list[str], operator.add]
    answer: str


class FixedModel(BaseChatModel):
    """A chat model that streams the same words over `latency_s`."""

    latency_s: float

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        async for piece in speak(self.latency_s):
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    @property
    def _llm_type(self) -> str:
        return "fixed"


def node(latency_s: float, key: str) -> Callable[[State], Awaitable[dict[str, Any]]]:
    """A node that asks its model and writes `key`."""
    model = FixedModel(latency_s=latency_s)

    async def run(state: State) -> dict[str, Any]:
        reply = await model.ainvoke([SystemMessage(content="s"), HumanMessage(content=state["question"])])
        return {key: [reply.content] if key == "findings" else reply.content}

    return run


@asynccontextmanager
async def open_turn(shape: Shape) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """The graph is compiled once; every turn has a state of its own."""
    graph = StateGraph(State)
    graph.add_node("planner", node(shape.plan_s, "plan"))
    graph.add_node("synthesiser", node(shape.answer_s, "answer"))
    for step in shape.steps:
        graph.add_node(step.name, node(step.latency_s, "findings"))
        for need in step.needs or ("planner",):
            graph.add_edge(need, step.name)
    graph.add_edge(START, "planner")
    graph.add_edge(list(shape.last), "synthesiser")
    graph.add_edge("synthesiser", END)
    app = graph.compile()

    async def turn() -> str:
        start = {"question": "How much leave?", "plan": "", "findings": [], "answer": ""}
        answer, tokens = "", 0
        async for mode, data in app.astream(start, stream_mode=["messages", "values"]):
            if mode == "values":
                answer = data["answer"]
            else:
                tokens += 1
        assert tokens >= len(shape.steps) + 2, tokens
        return answer

    yield turn
