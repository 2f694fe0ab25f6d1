"""A tool bus and a conversation store in memory that remember what was done to them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from autogen_core import CancellationToken
from autogen_core.tools import TextResultContent, ToolResult, ToolSchema, Workbench
from pydantic import BaseModel

from conversations.contracts import Conversation, Message, Summary
from runs.events import RunResult, ToolCalled, ToolFinished
from runs.ids import new_conversation_id
from signalbox.errors import NotFound
from signalbox.identity import Chain, Principal
from toolbus.contracts import CallContext, ToolOutcome, ToolSpec

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
        self, context: CallContext, tool: str, arguments: dict[str, Any], approval_id: str, *, begun: bool = False
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
    summaries: dict[tuple[str, str], Summary] = field(default_factory=dict)
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

    async def add_question(
        self, principal: Principal, conversation_id: str, run_id: str, text: str, *, known: bool = False
    ) -> None:
        kept = self.messages[principal.user, conversation_id]
        kept.append(Message(id=len(kept) + 1, role="user", text=text, at=datetime.now(UTC), run_id=run_id))

    async def add_answer(
        self, principal: Principal, conversation_id: str, result: RunResult, *, approval_id: str = ""
    ) -> None:
        kept = self.messages[principal.user, conversation_id]
        answer = {"role": "assistant", "text": result.text, "at": datetime.now(UTC), "run_id": result.run_id}
        kept.append(Message.model_validate({"id": len(kept) + 1, "result": result, **answer}))

    async def summary(self, principal: Principal, conversation_id: str) -> Summary:
        return self.summaries.get((principal.user, conversation_id), Summary())

    async def keep_summary(self, principal: Principal, conversation_id: str, summary: Summary) -> None:
        self.summaries[principal.user, conversation_id] = summary

    async def list(self, principal: Principal, *, limit: int = 50, before: str | None = None) -> list[Conversation]:
        return []

    async def delete(self, principal: Principal, conversation_id: str) -> None:
        del self.messages[principal.user, conversation_id]

    def of(self, principal: Principal) -> "list[Message]":
        return [message for (user, _), kept in self.messages.items() if user == principal.user for message in kept]
