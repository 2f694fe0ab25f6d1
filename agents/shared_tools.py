"""One tool list for every role of a turn, so that a server with a prefix cache computes the prompt's start once.

Chat templates put the tools first: with a list for each role, nothing of the prompt is shared (docs/contracts.md,
"Prompts"; 40 % of a turn's prefill came from the cache that way, 84 % with one list). What a role may call is narrowed
by `tool_choice` and by its instruction, and enforced by the step's workbench, which knows no other tool.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Literal

from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

ToolChoice = Tool | Literal["auto", "required", "none"]


class SharedTools(ChatCompletionClient):
    """A client that shows the same tools to every call while `sharing`; a call that brings none may call none."""

    component_config_schema = BaseModel

    def __init__(
        self, inner: ChatCompletionClient, tools: Sequence[ToolSchema], *, sharing: Callable[[], bool] = lambda: True
    ) -> None:
        self._inner = inner
        self._tools = list(tools)
        self._sharing = sharing

    def _shown(
        self, tools: Sequence[Tool | ToolSchema], choice: ToolChoice
    ) -> tuple[Sequence[Tool | ToolSchema], ToolChoice]:
        return (self._tools, choice if tools else "none") if self._sharing() else (tools, choice)

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """As the client behind it, with the turn's tools."""
        shown, choice = self._shown(tools, tool_choice)
        return await self._inner.create(
            messages,
            tools=shown,
            tool_choice=choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )

    def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """As the client behind it, with the turn's tools."""
        shown, choice = self._shown(tools, tool_choice)
        return self._inner.create_stream(
            messages,
            tools=shown,
            tool_choice=choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )

    async def close(self) -> None:
        """The client behind it is not ours to close."""

    def actual_usage(self) -> RequestUsage:
        """Of the client behind it."""
        return self._inner.actual_usage()

    def total_usage(self) -> RequestUsage:
        """Of the client behind it."""
        return self._inner.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """With the turn's tools."""
        return self._inner.count_tokens(messages, tools=self._tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """With the turn's tools."""
        return self._inner.remaining_tokens(messages, tools=self._tools)

    @property
    def capabilities(self) -> Any:
        """Of the client behind it (AutoGen still asks for it under its old name)."""
        return self._inner.model_info

    @property
    def model_info(self) -> ModelInfo:
        """Of the client behind it."""
        return self._inner.model_info
