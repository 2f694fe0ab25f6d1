"""A model that answers after a fixed time, streaming, whatever it is asked; the plan is always the same."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
)
from pydantic import BaseModel

from agents.contracts import Plan, Step
from bench.orchestration.shapes import ANSWER, TOKENS, Shape, speak
from inference.contracts import CallScope, Purpose
from runs.events import TokenUsage

_SPECIALISTS = {"s1": "knowledge", "s2": "data", "s3": "actions", "s4": "knowledge"}
_TOOLS = {"knowledge": "knowledge__search", "data": "operations__search", "actions": "desk__search"}


class ShapedModels:
    """`Models` that play a shape: each role takes the time that the shape gives it; with `tools` each step uses one."""

    def __init__(self, shape: Shape, *, tools: bool) -> None:
        self.shape = shape
        self.tools = tools
        self.latency_s = {step.name: step.latency_s for step in shape.steps}
        steps = [
            Step(id=step.name, specialist=_SPECIALISTS[step.name], task=step.name, needs=list(step.needs))
            for step in shape.steps
        ]
        self.plan = Plan(steps=steps).model_dump_json()

    def client(self, purpose: Purpose, scope: CallScope) -> "RoleClient":
        """A client for one scope."""
        return RoleClient(self, purpose, scope)

    def engine(self, purpose: Purpose) -> str:
        """The name of the model."""
        return "fixed"

    async def health(self) -> dict[str, str]:
        """Always up."""
        return {}

    async def close(self) -> None:
        """Nothing to close."""


class FixedClient(ChatCompletionClient):
    """An AutoGen client that streams the same words over `latency_s`."""

    component_config_schema = BaseModel

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Any] = (),
        tool_choice: Any = "auto",
        json_output: Any = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        raise NotImplementedError

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Any] = (),
        tool_choice: Any = "auto",
        json_output: Any = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        async for piece in speak(self._latency_s):
            yield piece
        yield _result(ANSWER)

    async def close(self) -> None:
        """Nothing to close."""

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = ()) -> int:
        return 1

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = ()) -> int:
        return 100_000

    @property
    def capabilities(self) -> Any:
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=True,
            json_output=True,
            family="unknown",
            structured_output=True,
            multiple_system_messages=True,
        )


class RoleClient(FixedClient):
    """What one role of a turn asks: the plan, a step (a tool first, at once), or the answer."""

    def __init__(self, models: ShapedModels, purpose: Purpose, scope: CallScope) -> None:
        super().__init__(models.shape.answer_s)
        self._models, self._purpose, self._scope = models, purpose, scope

    async def create(self, messages: Sequence[LLMMessage], **more: Any) -> CreateResult:
        await asyncio.sleep(self._models.shape.plan_s)
        return self._metered(self._models.plan)

    async def create_stream(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = (), tool_choice: Any = "auto", **more: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        latency_s = self._latency_s
        if self._purpose == "specialist":
            step = _task(messages)
            asked = isinstance(messages[-1], FunctionExecutionResultMessage)
            if self._models.tools and tools and tool_choice != "none" and not asked:
                name = _TOOLS[_SPECIALISTS[step]]
                yield self._metered([FunctionCall(id="c1", name=name, arguments='{"query": "leave"}')])
                return
            latency_s = self._models.latency_s[step]
        async for piece in speak(latency_s):
            yield piece
        yield self._metered(ANSWER)

    def _metered(self, content: str | list[FunctionCall]) -> CreateResult:
        usage = TokenUsage(prompt_tokens=100, completion_tokens=TOKENS, model_calls=1)
        self._scope.meter.record(usage, engine="fixed")
        return _result(content)


def _task(messages: Sequence[LLMMessage]) -> str:
    text = str(messages[1].content)
    start = text.index("<task>\n") + len("<task>\n")
    return text[start : text.index("\n", start)]


def _result(content: str | list[FunctionCall]) -> CreateResult:
    reason = "stop" if isinstance(content, str) else "function_calls"
    return CreateResult(finish_reason=reason, content=content, usage=RequestUsage(100, TOKENS), cached=False)
