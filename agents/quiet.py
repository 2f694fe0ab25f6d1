"""Model calls of which nobody hears the words as they come: a step of several, whose findings are merged later."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel


class Quiet(ChatCompletionClient):
    """A client that still streams from its server, so that a stop ends the work there, but passes on results alone.

    AutoGen 0.7.5 makes an event of every piece of text and hands it through five generators: processor time for words
    that go nowhere.
    """

    component_config_schema = BaseModel

    def __init__(self, inner: ChatCompletionClient) -> None:
        self._inner = inner

    async def create(self, messages: Sequence[LLMMessage], **how: Any) -> CreateResult:
        """As the client behind it."""
        return await self._inner.create(messages, **how)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **how: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The result, once it is there."""
        stream = self._inner.create_stream(messages, **how)
        async with contextlib.aclosing(stream) as chunks:  # type: ignore[type-var]  # declared wider than it is
            async for chunk in chunks:
                if isinstance(chunk, CreateResult):
                    yield chunk

    async def close(self) -> None:
        """The client behind it is not ours to close."""

    def actual_usage(self) -> RequestUsage:
        """Of the client behind it."""
        return self._inner.actual_usage()

    def total_usage(self) -> RequestUsage:
        """Of the client behind it."""
        return self._inner.total_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """Of the client behind it."""
        return self._inner.count_tokens(messages, tools=tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """Of the client behind it."""
        return self._inner.remaining_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> Any:
        """Of the client behind it (AutoGen still asks for it under its old name)."""
        return self._inner.model_info

    @property
    def model_info(self) -> ModelInfo:
        """Of the client behind it."""
        return self._inner.model_info
