"""Several clients as one: the next one answers when the one before does not, and the run is marked as degraded."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # pyright: ignore[reportDeprecated]
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from inference.errors import ModelFault
from inference.request import ToolChoice
from signalbox.errors import BudgetSpent, SignalboxError, UpstreamDown


@dataclass(frozen=True)
class FallbackPolicy:
    """When the next of several models may answer, and who is told that it does."""

    models: int
    when_busy: bool
    tell: Callable[[int, SignalboxError], None]

    def step(self, index: int, error: SignalboxError) -> None:
        """Allow the model after `index` to answer, or raise `error`.

        A model that answered badly twice is not down: another one in its place would hide that.
        """
        last = index == self.models - 1
        busy = isinstance(error, BudgetSpent)
        if last or (busy and not self.when_busy) or isinstance(error, ModelFault):
            raise error
        self.tell(index + 1, error)


class FallbackChatClient(ChatCompletionClient):
    """Tries `clients` in order, before anything was handed out only."""

    def __init__(self, clients: Sequence[ChatCompletionClient], policy: FallbackPolicy) -> None:
        self._clients = tuple(clients)
        self._policy = policy

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """The first answer that one of the clients gives."""
        for index, client in enumerate(self._clients):
            try:
                return await client.create(
                    messages,
                    tools=tools,
                    tool_choice=tool_choice,
                    json_output=json_output,
                    extra_create_args=extra_create_args or {},
                    cancellation_token=cancellation_token,
                )
            except (UpstreamDown, BudgetSpent) as error:
                self._policy.step(index, error)
        raise AssertionError("The last client returns or raises.")

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The first stream of which one of the clients delivers a piece."""
        for index, client in enumerate(self._clients):
            stream = client.create_stream(
                messages,
                tools=tools,
                tool_choice=tool_choice,
                json_output=json_output,
                extra_create_args=extra_create_args or {},
                cancellation_token=cancellation_token,
            )
            begun = False
            try:
                async for piece in stream:
                    begun = True
                    yield piece
                return
            except (UpstreamDown, BudgetSpent) as error:
                if begun:
                    raise
                self._policy.step(index, error)
            finally:
                await stream.aclose()

    async def close(self) -> None:
        """Close every client."""
        for client in self._clients:
            await client.close()

    def actual_usage(self) -> RequestUsage:
        """Tokens of the last calls."""
        return _sum([client.actual_usage() for client in self._clients])

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls."""
        return _sum([client.total_usage() for client in self._clients])

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """As the first client counts."""
        return self._clients[0].count_tokens(messages, tools=tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """As the first client counts."""
        return self._clients[0].remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated]
        """Of the first client."""
        return self._clients[0].capabilities

    @property
    def model_info(self) -> ModelInfo:
        """Of the first client."""
        return self._clients[0].model_info


def _sum(usages: Sequence[RequestUsage]) -> RequestUsage:
    return RequestUsage(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
    )
