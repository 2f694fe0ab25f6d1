"""What the tools of the desk return (docs/contracts.md, Receipts)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mcp_servers.evidence import Evidence

Category = Literal["it", "facilities", "logistics", "quality", "people", "finance", "safety", "other"]
Priority = Literal["low", "normal", "high", "urgent"]
Status = Literal["open", "in_progress", "waiting", "closed", "withdrawn"]
Outcome = Literal["done", "unchanged", "preview", "queued", "sent", "failed", "unknown", "undone"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Comment(_Frozen):
    """One remark on a ticket."""

    id: str
    author: str
    body: str
    internal: bool = Field(description="Seen by those who work on the ticket only.")
    created_at: str


class Ticket(_Frozen):
    """One ticket as its reader may see it."""

    id: str
    title: str
    description: str
    category: Category
    priority: Priority
    status: Status
    requester: str
    assignee: str | None = None
    site: str | None = None
    resolution: str | None = None
    created_at: str
    updated_at: str
    comments: list[Comment] = []


class Message(_Frozen):
    """One message that was, or would be, sent."""

    id: str
    to: str
    subject: str
    body: str
    sender: str
    created_at: str


class Person(_Frozen):
    """One person of the directory."""

    user: str
    name: str
    email: str
    role: str
    department: str
    site: str
    phone_ext: str = ""


class Change(_Frozen):
    """One field before and after."""

    field: str
    before: str | None
    after: str | None


class Receipt(_Frozen):
    """What an action did, or with a dry run would do."""

    summary: str = Field(description="One sentence: what happened, or what would.")
    status: Outcome
    receipt_id: str = Field(default="", description="Pass it to `undo`; empty for a preview.")
    undoable: bool = False
    changes: list[Change] = []
    ticket: Ticket | None = None
    comment: Comment | None = None
    message: Message | None = None


class TicketList(_Frozen):
    """Tickets that were found, best first."""

    summary: str
    tickets: list[Ticket]
    next_cursor: str | None = None
    evidence: list[Evidence]


class TicketDetails(_Frozen):
    """One ticket with its comments."""

    summary: str
    ticket: Ticket
    evidence: list[Evidence]


class PersonList(_Frozen):
    """People who were found, best first."""

    summary: str
    people: list[Person]
    evidence: list[Evidence]
