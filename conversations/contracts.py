"""Conversations as the layers above see them. Every query is scoped by tenant and user: another's is not found."""

from datetime import datetime
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from runs.events import RunResult
from signalbox.identity import Principal


class Message(BaseModel):
    """One message of a conversation; an answer holds the whole record of its run."""

    model_config = ConfigDict(frozen=True)

    role: Literal["user", "assistant"]
    text: str
    at: datetime
    id: int = Field(default=0, description="Rises with every message of a conversation.")
    run_id: str = ""
    result: RunResult | None = None


class Summary(BaseModel):
    """What a conversation's messages up to and with `upto` amount to; `tainted` when documents or tools had a say."""

    model_config = ConfigDict(frozen=True)

    text: str = ""
    upto: int = 0
    tainted: bool = False


class Conversation(BaseModel):
    """A conversation without its messages."""

    model_config = ConfigDict(frozen=True)

    id: str
    title: str
    created_at: datetime
    updated_at: datetime


class ConversationStore(Protocol):
    """Keeps conversations; two writes a plain turn."""

    async def open(self, principal: Principal, conversation_id: str | None) -> Conversation:
        """The conversation of that id, or a new one when None; raises `NotFound` for an unknown or another's id."""
        ...

    async def adopt(self, principal: Principal, external_id: str) -> Conversation:
        """The conversation that a client knows by an id of its own (an A2A context); made on first use."""
        ...

    async def history(self, principal: Principal, conversation_id: str, *, limit: int = 20) -> list[Message]:
        """The latest messages, oldest first."""
        ...

    async def add_question(
        self, principal: Principal, conversation_id: str, run_id: str, text: str, *, known: bool = False
    ) -> None:
        """First write of a turn; of a run that has its question there already, nothing.

        `known`: the conversation was there before, so it is not made; raises `NotFound` when it was deleted meanwhile.
        """
        ...

    async def add_answer(
        self, principal: Principal, conversation_id: str, result: RunResult, *, approval_id: str = ""
    ) -> None:
        """Second write of a turn, or what became of an approval of it; what is there already stays as it is.

        Whoever gave up waiting for a write cannot know whether it happened: it may be asked for again.
        """
        ...

    async def summary(self, principal: Principal, conversation_id: str) -> Summary:
        """The summary of its earlier messages; an empty one when there is none."""
        ...

    async def keep_summary(self, principal: Principal, conversation_id: str, summary: Summary) -> None:
        """Keep a newer summary in place of the last; nothing happens when a newer one is there already."""
        ...

    async def list(self, principal: Principal, *, limit: int = 50, before: str | None = None) -> list[Conversation]:
        """The principal's conversations, latest first; `before` is the id of the last one already seen."""
        ...

    async def delete(self, principal: Principal, conversation_id: str) -> None:
        """Remove a conversation with everything that hangs on it."""
        ...
