"""What stands around the real turn runner in the bench: an archive behind the bus, conversations, a desk."""

from datetime import UTC, datetime
from typing import Any

from conversations.contracts import Conversation, Message
from runs.events import RunResult
from runs.ids import new_conversation_id
from signalbox.identity import Principal
from toolbus.sources import DeclaredTool, OnListed, SourceCall, SourceResult

QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
PASSAGE = {
    "ref": "1a2b3c4d",
    "chunk_id": "1a2b3c4d" * 4,
    "document": "handbook/leave.md",
    "title": "Leave",
    "text": "Leave is 25 days a year. It may be carried over until the end of March of the next year.",
    "score": 0.9,
}


class Archive:
    """A source of one tool that answers at once, without any transport."""

    ours, auto_approve, call_timeout_s, restarts = False, True, None, 0

    def __init__(self, name: str) -> None:
        self.name = name

    def is_offering(self) -> bool:
        return True

    def status(self) -> str:
        return "up"

    async def start(self, on_listed: OnListed) -> None:
        on_listed(self, [DeclaredTool("search", "Search the archive.", QUERY, read_only=True)])

    async def call(self, call: SourceCall) -> SourceResult:
        return SourceResult("", {"evidence": [PASSAGE]})

    async def close(self) -> None: ...


class NoDesk:
    """Nothing in the bench waits for a person."""

    async def propose(self, *_: Any) -> Any:
        raise NotImplementedError


class MemoryConversations:
    """`ConversationStore` that keeps nothing: the others keep nothing either."""

    async def open(self, principal: Principal, conversation_id: str | None) -> Conversation:
        now = datetime.now(UTC)
        return Conversation(id=new_conversation_id(), title="", created_at=now, updated_at=now)

    async def history(self, principal: Principal, conversation_id: str, *, limit: int = 20) -> list[Message]:
        return []

    async def add_question(
        self, principal: Principal, conversation_id: str, run_id: str, text: str, *, known: bool = False
    ) -> None: ...

    async def add_answer(
        self, principal: Principal, conversation_id: str, result: RunResult, *, approval_id: str = ""
    ) -> None: ...

    async def list(self, principal: Principal, *, limit: int = 50, before: str | None = None) -> list[Conversation]:
        return []

    async def delete(self, principal: Principal, conversation_id: str) -> None: ...
