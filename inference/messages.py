"""AutoGen's messages as the OpenAI API takes them."""

from collections.abc import Sequence
from typing import Any, assert_never

from autogen_core import Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

_TOKENS_PER_IMAGE = 800


def to_openai(messages: Sequence[LLMMessage], *, reasoning: bool) -> list[dict[str, Any]]:
    """The same conversation in wire form. Names of agents are not sent.

    reasoning: whether the server takes earlier thoughts back, in a field of their own; they never become text.
    """
    wire: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            wire.extend(
                {"role": "tool", "tool_call_id": result.call_id, "content": result.content}
                for result in message.content
            )
        else:
            wire.append(_one(message, reasoning=reasoning))
    return wire


def _one(message: SystemMessage | UserMessage | AssistantMessage, *, reasoning: bool) -> dict[str, Any]:
    if isinstance(message, SystemMessage):
        return {"role": "system", "content": message.content}
    if isinstance(message, UserMessage):
        if isinstance(message.content, str):
            return {"role": "user", "content": message.content}
        return {"role": "user", "content": [_part(part) for part in message.content]}
    if isinstance(message, AssistantMessage):
        if isinstance(message.content, str):
            return {"role": "assistant", "content": message.content}
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.content
        ]
        wire: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": calls}
        if reasoning and message.thought:
            wire["reasoning"] = message.thought
        return wire
    assert_never(message)


def _part(part: str | Image) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": part.data_uri}}


def estimate_tokens(messages: Sequence[LLMMessage]) -> int:
    """A rough count, for budgets before a call: four bytes a token, a fixed price for an image."""
    total = 0
    for wire in to_openai(messages, reasoning=False):
        content = wire.get("content")
        total += 4
        if isinstance(content, list):
            for part in content:
                total += _TOKENS_PER_IMAGE if part["type"] == "image_url" else len(part["text"].encode()) // 4
        else:
            total += len(str(content or "").encode()) // 4
        for call in wire.get("tool_calls", ()):
            total += len(call["function"]["arguments"].encode()) // 4
    return total
