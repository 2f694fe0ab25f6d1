"""A model, a tool bus and a conversation store that do as they are told, and remember what was done to them."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
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
from autogen_core.tools import TextResultContent, ToolResult, ToolSchema, Workbench
from pydantic import BaseModel

from agents.contracts import Plan, TurnRequest
from conversations.contracts import Conversation, Message
from inference.contracts import CallScope, Purpose
from runs.events import ApprovalView, RunEvent, RunResult, TokenUsage, ToolCalled, ToolFinished
from runs.ids import new_conversation_id, new_run_id
from signalbox.errors import NotFound
from signalbox.identity import Chain, Principal
from toolbus.contracts import CallContext, ToolOutcome, ToolSpec

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
        self._scope.meter.record(usage, engine=self._models.name)
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


Act = Callable[[Mapping[str, Any]], "ToolOutcome | Awaitable[ToolOutcome]"]


class MemoryBus:
    """`ToolBus` over plain functions. Like the real one its workbench returns a result whatever happens."""

    def __init__(self, **tools: Act) -> None:
        self.acts = {name.replace("___", "__"): act for name, act in tools.items()}
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.contexts: list[CallContext] = []
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self.completed: list[str] = []
        self.server_health: dict[str, str] = {}
        self.raising: BaseException | None = None

    async def tools(self, chain: Chain) -> Sequence[ToolSpec]:
        return [
            ToolSpec(
                name=name,
                server=name.split("__")[0],
                tool=name.split("__")[1],
                description=name,
                input_schema={"type": "object"},
                pin="p",
            )
            for name in self.acts
        ]

    async def workbench(self, context: CallContext, patterns: Sequence[str]) -> Workbench:
        self.contexts.append(context)
        return MemoryWorkbench(self, context, patterns)

    async def call_approved(
        self, context: CallContext, tool: str, arguments: dict[str, Any], approval_id: str
    ) -> ToolOutcome:
        raise NotImplementedError

    async def health(self) -> dict[str, str]:
        return self.server_health


class MemoryWorkbench(Workbench):
    component_config_schema = BaseModel

    def __init__(self, bus: MemoryBus, context: CallContext, patterns: Sequence[str]) -> None:
        self._bus, self._context, self._patterns = bus, context, patterns

    async def list_tools(self) -> list[ToolSchema]:
        return [
            ToolSchema(name=name, description=name, parameters={"type": "object", "properties": {}, "required": []})
            for name in self._bus.acts
            if any(fnmatchcase(name, pattern) for pattern in self._patterns)
        ]

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        bus, context = self._bus, self._context
        if bus.raising is not None:
            raise bus.raising
        bus.calls.append((context.chain.principal.user, name, dict(arguments or {})))
        if not context.budget.take_tool_call():
            return self._finish(ToolOutcome(name, "error", "The budget of tool calls is used up."))
        step = context.step_id
        await context.emit(ToolCalled(call_id=call_id or "", step_id=step, tool=name, arguments=dict(arguments or {})))
        bus.started.append(name)
        started = time.monotonic()

        async def act() -> ToolOutcome:
            said = bus.acts[name](arguments or {})
            return said if isinstance(said, ToolOutcome) else await said

        work = asyncio.ensure_future(act())
        if cancellation_token is not None:
            cancellation_token.link_future(work)
        try:
            outcome = await work
            bus.completed.append(name)
        except asyncio.CancelledError:
            bus.cancelled.append(name)
            outcome = ToolOutcome(name, "cancelled", "Cancelled.")
        duration_ms = (time.monotonic() - started) * 1000
        await context.emit(
            ToolFinished(call_id=call_id or "", step_id=step, tool=name, status=outcome.status, duration_ms=duration_ms)
        )
        return self._finish(outcome)

    def _finish(self, outcome: ToolOutcome) -> ToolResult:
        self._context.outcomes.append(outcome)
        return ToolResult(
            name=outcome.tool, result=[TextResultContent(content=outcome.text)], is_error=outcome.status != "ok"
        )

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def reset(self) -> None: ...

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None: ...


@dataclass
class MemoryConversations:
    """`ConversationStore` in a dictionary."""

    messages: dict[tuple[str, str], list[Message]] = field(default_factory=dict)
    delay_s: float = 0

    async def open(self, principal: Principal, conversation_id: str | None) -> Conversation:
        await asyncio.sleep(self.delay_s)
        now = datetime.now(UTC)
        if conversation_id is None:
            conversation_id = new_conversation_id()
            self.messages[principal.user, conversation_id] = []
        if (principal.user, conversation_id) not in self.messages:
            raise NotFound(f"There is no conversation {conversation_id!r}.", param="conversation_id")
        return Conversation(id=conversation_id, title="", created_at=now, updated_at=now)

    async def history(self, principal: Principal, conversation_id: str, *, limit: int = 20) -> list[Message]:
        return self.messages[principal.user, conversation_id][-limit:]

    async def add_question(self, principal: Principal, conversation_id: str, run_id: str, text: str) -> None:
        message = Message(role="user", text=text, at=datetime.now(UTC), run_id=run_id)
        self.messages[principal.user, conversation_id].append(message)

    async def add_answer(self, principal: Principal, conversation_id: str, result: RunResult) -> None:
        message = Message(role="assistant", text=result.text, at=datetime.now(UTC), run_id=result.run_id, result=result)
        self.messages[principal.user, conversation_id].append(message)

    async def list(self, principal: Principal, *, limit: int = 50, before: str | None = None) -> list[Conversation]:
        return []

    async def delete(self, principal: Principal, conversation_id: str) -> None:
        del self.messages[principal.user, conversation_id]

    def of(self, principal: Principal) -> "list[Message]":
        return [message for (user, _), kept in self.messages.items() if user == principal.user for message in kept]


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
