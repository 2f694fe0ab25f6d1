"""Finding tickets and people; every query is scoped to what the asker may see."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mcp_servers.desk import people
from mcp_servers.desk.access import Access
from mcp_servers.desk.models import Category, Evidence, PersonList, Priority, Status, Ticket, TicketDetails, TicketList
from mcp_servers.desk.tables import comments, tickets
from mcp_servers.desk.tickets import Tickets, as_ticket, read_comments, shorten
from signalbox.errors import NotFound, UserFault
from signalbox.identity import Principal

PAGE = 10
_OPEN: tuple[Status, ...] = ("open", "in_progress", "waiting")
_STOP = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "ticket",
        "tickets",
        "about",
        "our",
        "open",
        "closed",
        "all",
        "show",
        "find",
        "any",
        "what",
        "which",
        "are",
        "there",
    ]
)


@dataclass(frozen=True)
class TicketQuery:
    """What to look for; unset fields restrict nothing."""

    query: str = ""
    status: str | None = None
    category: Category | None = None
    priority: Priority | None = None
    person: str | None = None
    cursor: str | None = None


class Reading:
    """The desk as its asker sees it."""

    def __init__(self, engine: AsyncEngine, access: Access, actions: Tickets) -> None:
        self._engine = engine
        self._access = access
        self._actions = actions

    async def search(self, principal: Principal, wanted: TicketQuery) -> TicketList:
        """Tickets that match, those with most of the words first, then the latest."""
        words = [w for w in wanted.query.casefold().replace(",", " ").split() if len(w) > 2 and w not in _STOP][:12]
        score = sum((_contains(word) for word in words), start=sa.literal(0))
        statement = sa.select(tickets, score.label("score")).where(self._access.visible(principal))
        async with self._engine.connect() as connection:
            if wanted.person:
                who = await self._user(connection, principal, wanted.person)
                statement = statement.where(sa.or_(tickets.c.assignee == who, tickets.c.requester == who))
            statement = _narrow(statement, wanted)
            if words:
                statement = statement.where(score > 0)
            offset = _read_cursor(wanted)
            ordered = statement.order_by(sa.desc("score"), tickets.c.updated_at.desc(), tickets.c.number.desc())
            rows = (await connection.execute(ordered.limit(PAGE + 1).offset(offset))).all()
        found = [as_ticket(dict(row._mapping), ()) for row in rows[:PAGE]]
        more = len(rows) > PAGE
        return TicketList(
            summary=_say(found, more=more),
            tickets=found,
            evidence=[_evidence(ticket) for ticket in found],
            next_cursor=_write_cursor(wanted, offset + PAGE) if more else None,
        )

    async def get(self, principal: Principal, ticket_id: str) -> TicketDetails:
        """One ticket with the comments that the asker may see."""
        async with self._engine.connect() as connection:
            row = await self._actions.find(connection, principal, ticket_id)
            remarks = await read_comments(connection, row, internal=self._access.is_staff_of(principal, row))
        ticket = as_ticket(row, remarks)
        return TicketDetails(summary=_line(ticket), ticket=ticket, evidence=[_evidence(ticket)])

    async def find_person(self, principal: Principal, query: str, site: str | None) -> PersonList:
        """People of the asker's organisation."""
        async with self._engine.connect() as connection:
            found = await people.search(connection, principal.tenant, query, site)
        lines = [f"{p.name}, {p.role} in {p.department}, {p.site}: {p.email}, extension {p.phone_ext}" for p in found]
        summary = (
            f"{lines[0]}."
            if len(found) == 1
            else f"{len(found)} people match {query[:80]!r}."
            if found
            else f"Nobody matches {query[:80]!r}."
        )
        proof = [_item(f"desk/people/{p.user}", p.name, line, "") for p, line in zip(found, lines, strict=True)]
        return PersonList(summary=summary, people=found, evidence=proof)

    async def _user(self, connection: AsyncConnection, principal: Principal, who: str) -> str:
        if who.strip().casefold() in {"me", "myself", "i"}:
            return principal.user
        try:
            return (await people.resolve(connection, principal.tenant, who)).user
        except NotFound:
            return who.strip()


def _contains(word: str) -> sa.ColumnElement[int]:
    pattern = f"%{word.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
    said = sa.exists().where(
        comments.c.tenant == tickets.c.tenant,
        comments.c.number == tickets.c.number,
        comments.c.internal.is_(False),
        sa.func.lower(comments.c.body).like(pattern, escape="!"),
    )
    title = sa.case((sa.func.lower(tickets.c.title).like(pattern, escape="!"), 3), else_=0)
    text = sa.case((sa.func.lower(tickets.c.description).like(pattern, escape="!"), 1), else_=0)
    place = sa.case((sa.func.lower(tickets.c.site).like(pattern, escape="!"), 1), else_=0)
    return title + text + place + sa.case((said, 1), else_=0)


def _narrow(statement: sa.Select[tuple[object, ...]], wanted: TicketQuery) -> sa.Select[tuple[object, ...]]:
    if wanted.status == "unsolved":
        statement = statement.where(tickets.c.status.in_(_OPEN))
    elif wanted.status:
        statement = statement.where(tickets.c.status == wanted.status)
    for column, value in ((tickets.c.category, wanted.category), (tickets.c.priority, wanted.priority)):
        if value:
            statement = statement.where(column == value)
    return statement


def _line(ticket: Ticket) -> str:
    who = f"assigned to {ticket.assignee}" if ticket.assignee else "not assigned"
    end = f" Resolution: {shorten(ticket.resolution)}" if ticket.resolution else ""
    where = f" at {ticket.site}" if ticket.site else ""
    return (
        f"{ticket.id} “{ticket.title}” is {ticket.status.replace('_', ' ')}: "
        f"{ticket.priority} {ticket.category} ticket{where}, requested by {ticket.requester}, {who}, "
        f"updated {ticket.updated_at[:10]}.{end}"
    )


def _say(found: list[Ticket], *, more: bool) -> str:
    if not found:
        return "No ticket that you may see matches."
    if len(found) == 1 and not more:
        return _line(found[0])
    first = found[0]
    count = f"{'More than ' if more else ''}{len(found)}"
    return f"{count} tickets match; first {first.id} “{first.title}” ({first.status.replace('_', ' ')})."


def _evidence(ticket: Ticket) -> Evidence:
    remarks = "".join(f"\n{c.created_at[:10]} {c.author}: {shorten(c.body, 600)}" for c in ticket.comments[-10:])
    text = f"{_line(ticket)}\n{shorten(ticket.description, 1_500)}{remarks}"
    return _item(f"desk/{ticket.id}", f"{ticket.id}: {ticket.title}", text, ticket.updated_at[:10])


def _item(document: str, title: str, text: str, modified: str) -> Evidence:
    digest = hashlib.sha256(f"{document}\n{text}".encode()).hexdigest()
    uri = document.replace("/", ":", 1)
    return Evidence(
        ref=digest[:8],
        chunk_id=digest[:32],
        document=document,
        title=title,
        uri=uri,
        text=text,
        modified=modified or None,
    )


def _digest(wanted: TicketQuery) -> str:
    asked: Mapping[str, object] = {k: v for k, v in vars(wanted).items() if k != "cursor"}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]


def _write_cursor(wanted: TicketQuery, offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([offset, _digest(wanted)]).encode()).decode().rstrip("=")


def _read_cursor(wanted: TicketQuery) -> int:
    if not wanted.cursor:
        return 0
    try:
        offset, digest = json.loads(base64.urlsafe_b64decode(wanted.cursor.encode() + b"=="))
        fine = isinstance(offset, int) and 0 <= offset <= 1_000_000 and digest == _digest(wanted)
    except (ValueError, TypeError) as error:
        raise UserFault("The cursor is not one of ours.", hint="Pass next_cursor unchanged.", param="cursor") from error
    if not fine:
        raise UserFault("The cursor belongs to another search.", hint="Search without a cursor first.", param="cursor")
    return offset
