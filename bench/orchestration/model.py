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

from inference.contracts import CallScope, Purpose
from runs.events import TokenUsage

SPECIALISTS = ("knowledge", "data", "generalist")
WORDS = "Leave is 25 days a year and may be carried over until the end of March of the next year. "


class FixedModels:
    """`Models`: every call takes `latency_s`; tools are called where there are some."""

    def __init__(self, *, latency_s: float, tokens: int, plan: str) -> None:
        self.latency_s = latency_s
        self.tokens = tokens
        self.plan = plan
        self.active = 0
        self.peak = 0

    def client(self, purpose: Purpose, scope: CallScope) -> "FixedClient":
        """A client for one scope."""
        return FixedClient(self, purpose, scope)

    def engine(self, purpose: Purpose) -> str:
        """The name of the model."""
        return "fixed"

    async def health(self) -> dict[str, str]:
        """Always up."""
        return {}

    async def close(self) -> None:
        """Nothing to close."""


class FixedClient(ChatCompletionClient):
    """The same latency for every call, spread over its tokens when streamed."""

    component_config_schema = BaseModel

    def __init__(self, models: FixedModels, purpose: Purpose | None = None, scope: CallScope | None = None) -> None:
        self._models, self._purpose, self._scope = models, purpose, scope

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
        self._enter()
        try:
            await _sleep(self._models.latency_s, cancellation_token)
            return self._result(self._content(messages, tools, tool_choice))
        finally:
            self._models.active -= 1

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
        content = self._content(messages, tools, tool_choice)
        loop = asyncio.get_running_loop()
        self._enter()
        started = loop.time()
        try:
            if isinstance(content, str):
                pieces = _pieces(content, self._models.tokens)
                for index, piece in enumerate(pieces, 1):
                    due = started + self._models.latency_s * index / len(pieces)
                    await _sleep(due - loop.time(), cancellation_token)
                    yield piece
            else:
                await _sleep(self._models.latency_s, cancellation_token)
            yield self._result(content)
        finally:
            self._models.active -= 1

    def _enter(self) -> None:
        self._models.active += 1
        self._models.peak = max(self._models.peak, self._models.active)

    def _content(self, messages: Sequence[LLMMessage], tools: Sequence[Any], choice: Any) -> str | list[FunctionCall]:
        if self._purpose == "planner":
            return self._models.plan
        asked = any(isinstance(message, FunctionExecutionResultMessage) for message in messages)
        if self._purpose == "specialist" and tools and choice != "none" and not asked:
            data = "<role>\nspecialist:data\n" in str(messages[-1].content)
            name = "operations__query" if data else "knowledge__search"
            return [FunctionCall(id="c1", name=name, arguments='{"query": "leave"}')]
        return WORDS * 3

    def _result(self, content: str | list[FunctionCall]) -> CreateResult:
        if self._scope is not None:
            usage = TokenUsage(prompt_tokens=100, completion_tokens=self._models.tokens, model_calls=1)
            self._scope.meter.record(usage, engine="fixed")
        reason = "stop" if isinstance(content, str) else "function_calls"
        return CreateResult(
            finish_reason=reason, content=content, usage=RequestUsage(100, self._models.tokens), cached=False
        )

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


def _pieces(text: str, count: int) -> list[str]:
    size = max(1, -(-len(text) // count))
    return [text[index : index + size] for index in range(0, len(text), size)]


async def _sleep(seconds: float, token: CancellationToken | None) -> None:
    if seconds <= 0:
        return
    future = asyncio.ensure_future(asyncio.sleep(seconds))
    if token is not None:
        token.link_future(future)
    await future
