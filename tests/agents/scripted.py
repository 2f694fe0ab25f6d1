"""A model that does as it is told and remembers what it was asked."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from pydantic import BaseModel

from agents.contracts import Plan, TurnRequest
from inference.contracts import CallScope, Purpose
from runs.events import ApprovalView, RunEvent, TokenUsage
from runs.ids import new_run_id
from signalbox.identity import Principal
from toolbus.contracts import ToolOutcome

ADA = Principal(user="ada", groups=frozenset({"staff"}))
BRUNO = Principal(user="bruno", groups=frozenset({"staff", "people"}))


@dataclass
class Seen:
    """One model call as the model saw it."""

    purpose: str
    messages: Sequence[LLMMessage]
    tools: list[str]
    scope: CallScope
    role: str
    started: float
    ended: float = 0
    cancelled: bool = False
    tool_choice: Any = "auto"
    json_output: Any = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        return "\n".join(_text(message) for message in self.messages)

    @property
    def results(self) -> list[str]:
        return [
            result.content
            for message in self.messages
            if isinstance(message, FunctionExecutionResultMessage)
            for result in message.content
        ]


@dataclass
class Reply:
    """What a model does: after `latency_s` it says `content` in `chunks`, calls tools, or fails."""

    content: str | list[FunctionCall] = ""
    latency_s: float = 0.0
    error: Exception | None = None
    chunks: int | None = None
    preamble: str = ""
    finish_reason: Any = "stop"
    usage: tuple[int, int] = (10, 5)
    cost: float = 0


Script = Callable[[Seen], Reply | str | list[FunctionCall] | Plan]


def call(tool: str, call_id: str = "c1", **arguments: Any) -> FunctionCall:
    return FunctionCall(id=call_id, name=tool, arguments=json.dumps(arguments))


class ScriptedModels:
    """`Models` whose every client follows one script."""

    def __init__(self, script: Script, *, engine: str = "scripted") -> None:
        self.script = script
        self.name = engine
        self.seen: list[Seen] = []

    def client(self, purpose: Purpose, scope: CallScope) -> ChatCompletionClient:
        return ScriptedClient(self, purpose, scope)

    def engine(self, purpose: Purpose) -> str:
        return self.name

    async def health(self) -> dict[str, str]:
        return {self.name: "up"}

    async def close(self) -> None:
        return None

    def by_role(self, role: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.role == role]


class ScriptedClient(ChatCompletionClient):
    component_config_schema = BaseModel

    def __init__(self, models: ScriptedModels, purpose: str, scope: CallScope) -> None:
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
        seen, reply = self._begin(messages, tools, tool_choice, json_output)
        try:
            await _sleep(reply.latency_s, cancellation_token)
        except asyncio.CancelledError:
            seen.cancelled = True
            raise
        finally:
            seen.ended = time.monotonic()
        return self._result(reply)

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
        seen, reply = self._begin(messages, tools, tool_choice, json_output)
        seen.extra = dict(extra_create_args)
        text = reply.content if isinstance(reply.content, str) else reply.preamble
        count = reply.chunks or max(1, len(text) // 6)
        size = max(1, -(-len(text) // count)) if text else 1
        pieces = [text[index : index + size] for index in range(0, len(text), size)]
        try:
            for piece in pieces or [""]:
                await _sleep(reply.latency_s / max(1, len(pieces)), cancellation_token)
                if piece:
                    yield piece
            yield self._result(reply)
        except (asyncio.CancelledError, GeneratorExit):
            seen.cancelled = True
            raise
        finally:
            seen.ended = time.monotonic()

    def _begin(
        self, messages: Sequence[LLMMessage], tools: Sequence[Any], choice: Any, output: Any
    ) -> tuple[Seen, Reply]:
        names = [tool["name"] if isinstance(tool, dict) else tool.name for tool in tools]
        seen = Seen(self._purpose, list(messages), names, self._scope, _role(messages), time.monotonic())
        seen.tool_choice, seen.json_output = choice, output
        self._models.seen.append(seen)
        said = self._models.script(seen)
        if isinstance(said, Plan):
            said = said.model_dump_json()
        return seen, said if isinstance(said, Reply) else Reply(said)

    def _result(self, reply: Reply) -> CreateResult:
        if reply.error is not None:
            raise reply.error
        prompt, completion = reply.usage
        usage = TokenUsage(prompt_tokens=prompt, completion_tokens=completion, model_calls=1)
        self._scope.meter.record(usage, engine=self._models.name, cost=reply.cost)
        return CreateResult(
            finish_reason="function_calls" if isinstance(reply.content, list) else reply.finish_reason,
            content=reply.content,
            usage=RequestUsage(prompt, completion),
            cached=False,
        )

    async def close(self) -> None:
        return None

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = ()) -> int:
        return 1

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = ()) -> int:
        return 1000

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


def evidence(
    ref: str,
    text: str,
    *,
    document: str = "handbook.md",
    score: float = 0.9,
    tool: str = "knowledge__search",
    **more: Any,
) -> ToolOutcome:
    """A search result with one passage."""
    item = {
        "ref": ref,
        "chunk_id": ref * 4,
        "document": document,
        "title": document,
        "text": text,
        "score": score,
        **more,
    }
    structured = {"evidence": [item], "answerable": score}
    return ToolOutcome(tool, "ok", json.dumps(structured), structured)


def waiting(tool: str, preview: str) -> ToolOutcome:
    view = ApprovalView(id="appr_" + "0" * 24, tool=tool, preview=preview, arguments={"title": "x"})
    return ToolOutcome(tool, "awaiting_approval", f"Waiting for approval: {preview}", approval=view)


def ask(text: str, *, principal: Principal = ADA, **more: Any) -> TurnRequest:
    return TurnRequest(principal=principal, text=text, run_id=new_run_id(), **{"surface": "openai", **more})


async def collect(events: Any) -> list[RunEvent]:
    return [event async for event in events]


async def _sleep(seconds: float, token: CancellationToken | None) -> None:
    future = asyncio.ensure_future(asyncio.sleep(seconds))
    if token is not None:
        token.link_future(future)
    await future


def _role(messages: Sequence[LLMMessage]) -> str:
    for message in messages:
        text = _text(message)
        if isinstance(message, UserMessage) and "<role>" in text:
            return text.rsplit("<role>", 1)[1].split("</role>")[0].strip()
    return "direct"


def _text(message: LLMMessage) -> str:
    if isinstance(message, SystemMessage | UserMessage):
        return message.content if isinstance(message.content, str) else ""
    if isinstance(message, AssistantMessage):
        return str(message.content)
    return "\n".join(result.content for result in message.content)
