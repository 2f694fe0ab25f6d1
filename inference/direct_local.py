"""The embedded engine as a bare model: an OpenAI chat body in, OpenAI completions and chunks out."""

import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import ToolSchema

from inference.contracts import CallScope
from signalbox.errors import UpstreamDown, UserFault

_BUSY_RETRY_S = 5
_NO_ANSWER = "NO_ANSWER"
_FINISH = {"function_calls": "tool_calls", "unknown": "stop"}


@dataclass(frozen=True)
class LocalDirect:
    """Drives a chat client of this process. That client books its own calls."""

    make: Callable[[CallScope], ChatCompletionClient]
    label: str

    async def complete(self, body: Mapping[str, Any], scope: CallScope) -> dict[str, Any]:
        """A whole chat completion."""
        with self._in_time():
            result = await self._client(scope).create(to_autogen(body["messages"]), **_options(body))
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if isinstance(result.content, str):
            message["content"] = _unmarked(result.content)
        else:
            message["tool_calls"] = _calls(result.content)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(result)}
        return {**self._head("chat.completion"), "choices": [choice], "usage": _usage(result)}

    async def stream(self, body: Mapping[str, Any], scope: CallScope) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Chunks, in the same shape as a server's."""
        head = self._head("chat.completion.chunk")
        pieces = self._client(scope).create_stream(to_autogen(body["messages"]), **_options(body))
        delta: dict[str, Any] = {"role": "assistant", "content": ""}
        yield [_chunk(head, delta)]
        begun = False
        try:
            with self._in_time():
                async for piece in pieces:
                    if isinstance(piece, str):
                        yield [_chunk(head, {"content": piece if begun else _unmarked(piece)})]
                        begun = True
                        continue
                    last = [_chunk(head, {}, _finish(piece)), {**head, "choices": [], "usage": _usage(piece)}]
                    if not isinstance(piece.content, str):
                        calls = [{"index": index, **call} for index, call in enumerate(_calls(piece.content))]
                        last.insert(0, _chunk(head, {"tool_calls": calls}))
                    yield last
        finally:
            await pieces.aclose()

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """An engine that its embedder keeps waiting is busy, not broken."""
        try:
            yield
        except TimeoutError as error:
            told = f"The engine {self.label!r} did not answer in time."
            raise UpstreamDown(told, hint="Try again in a moment.", retry_after_s=_BUSY_RETRY_S) from error

    def _client(self, scope: CallScope) -> ChatCompletionClient:
        return self.make(scope)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": self.label}


def to_autogen(messages: list[dict[str, Any]]) -> list[LLMMessage]:
    """A conversation from its wire form."""
    converted: list[LLMMessage] = []
    names: dict[str, str] = {}
    for index, message in enumerate(messages):
        match message["role"]:
            case "system" | "developer":
                converted.append(SystemMessage(content=_text(message)))
            case "user":
                converted.append(UserMessage(content=_parts(message), source="user"))
            case "assistant" if message.get("tool_calls"):
                calls = [_call(call) for call in message["tool_calls"]]
                names.update({call.id: call.name for call in calls})
                converted.append(AssistantMessage(content=calls, source="assistant"))
            case "assistant":
                converted.append(AssistantMessage(content=_text(message), source="assistant"))
            case "tool":
                call_id = str(message.get("tool_call_id", ""))
                result = FunctionExecutionResult(
                    content=_text(message), name=names.get(call_id, ""), call_id=call_id, is_error=False
                )
                converted.append(FunctionExecutionResultMessage(content=[result]))
            case role:
                raise UserFault(f"messages[{index}] has the unknown role {role!r}.", param=f"messages[{index}].role")
    return converted


def _options(body: Mapping[str, Any]) -> dict[str, Any]:
    tools = [_tool(tool) for tool in body.get("tools") or ()]
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):  # a named tool: offer nothing else
        wanted = (choice.get("function") or {}).get("name")
        tools = [tool for tool in tools if tool["name"] == wanted]
        if not tools:
            raise UserFault(f"tool_choice names {wanted!r}, which is not among the tools.", param="tool_choice")
        choice = "required"
    wanted_format = body.get("response_format") or {}
    json_output = wanted_format.get("type") in ("json_object", "json_schema") or None
    extra = {"response_format": wanted_format} if wanted_format.get("type") == "json_schema" else {}
    return {"tools": tools, "tool_choice": choice, "json_output": json_output, "extra_create_args": extra}


def _tool(tool: Any) -> ToolSchema:
    try:
        function = tool["function"]
        schema: ToolSchema = {"name": str(function["name"]), "description": str(function.get("description") or "")}
        if function.get("parameters"):
            schema["parameters"] = function["parameters"]
    except (KeyError, TypeError, AttributeError) as error:
        raise UserFault("Each tool must be {type: 'function', function: {name, …}}.", param="tools") from error
    return schema


def _call(call: Any) -> FunctionCall:
    try:
        function = call["function"]
        return FunctionCall(id=str(call["id"]), name=str(function["name"]), arguments=str(function["arguments"]))
    except (KeyError, TypeError) as error:
        raise UserFault("Each tool call needs an id, a name and arguments.", param="messages") from error


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)


def _parts(message: Mapping[str, Any]) -> str | list[str | Image]:
    content = message.get("content")
    if not isinstance(content, list) or all(part.get("type") == "text" for part in content):
        return _text(message)
    raise UserFault("The embedded engine reads no images.", hint="Connect a model server that does.", param="messages")


def _unmarked(text: str) -> str:
    """Without the word by which agents are told that there is no answer: callers of a bare model do not know it."""
    return text.removeprefix(_NO_ANSWER).lstrip(" :") if text.startswith(_NO_ANSWER) else text


def _calls(calls: list[FunctionCall]) -> list[dict[str, Any]]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]


def _chunk(head: Mapping[str, Any], delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}


def _finish(result: CreateResult) -> str:
    return _FINISH.get(result.finish_reason, result.finish_reason)


def _usage(result: CreateResult) -> dict[str, int]:
    prompt, completion = result.usage.prompt_tokens, result.usage.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
