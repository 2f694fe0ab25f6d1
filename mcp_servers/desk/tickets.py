"""The ticket actions: work inside a transaction that `effects.perform` owns, so that a preview is the real thing."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mcp_servers.desk import people
from mcp_servers.desk.access import Access
from mcp_servers.desk.effects import Asker, Done, now, perform
from mcp_servers.desk.models import Category, Change, Comment, Priority, Receipt, Ticket
from mcp_servers.desk.tables import comments, counters, tickets
from signalbox.errors import NotFound, UserFault
from signalbox.identity import Principal

FIRST_NUMBER = 1001
Row = Mapping[str, Any]


class Tickets:
    """Creating and changing tickets, for one asker at a time."""

    def __init__(self, engine: AsyncEngine, access: Access) -> None:
        self._engine = engine
        self._access = access

    async def create(
        self, asker: Asker, *, title: str, description: str, category: Category, priority: Priority, site: str | None
    ) -> Receipt:
        """A new ticket, requested by the asker."""
        title = required(title, "title", 200)
        description = required(description, "description", 8_000)
        person = asker.principal

        async def work(connection: AsyncConnection, _receipt_id: str) -> Done:
            number = await _next_number(connection, person.tenant)
            stamp = now()
            row: dict[str, Any] = {
                "tenant": person.tenant,
                "number": number,
                "title": title,
                "description": description,
                "category": category,
                "priority": priority,
                "status": "open",
                "requester": person.user,
                "assignee": None,
                "site": site or None,
                "resolution": None,
                "created_at": stamp,
                "updated_at": stamp,
                "version": 1,
            }
            await connection.execute(tickets.insert().values(**row))
            ticket = as_ticket(row, ())
            what = f"{priority} {category} ticket “{title}”" + (f" for {site}" if site else "")
            if asker.dry_run:
                ticket = ticket.model_copy(update={"id": "T-(next)"})
                return Done(
                    Receipt(
                        summary=f"Would create the {what}, requested by {person.user}.", status="preview", ticket=ticket
                    )
                )
            summary = f"Created {ticket.id}, a {what}, requested by {person.user}."
            inverse = _inverse(row, version=1, status="withdrawn")
            return Done(Receipt(summary=summary, status="done", ticket=ticket), inverse)

        arguments = {
            "title": title,
            "description": description,
            "category": category,
            "priority": priority,
            "site": site,
        }
        return await perform(self._engine, asker, "create_ticket", arguments, work)

    async def comment(self, asker: Asker, ticket_id: str, body: str, *, internal: bool) -> Receipt:
        """A remark on a ticket that the asker may see; an internal one only by those who work on it."""
        body = required(body, "comment", 8_000)

        async def work(connection: AsyncConnection, receipt_id: str) -> Done:
            row = await self.find(connection, asker.principal, ticket_id)
            if internal:
                self._access.require_staff(asker.principal, row, "An internal comment on")
            made = {
                "id": f"C-{receipt_id[-8:]}",
                "author": asker.principal.user,
                "body": body,
                "internal": internal,
                "created_at": now(),
            }
            await connection.execute(comments.insert().values(tenant=row["tenant"], number=row["number"], **made))
            await connection.execute(_at(row).values(updated_at=made["created_at"]))
            kind = "an internal comment" if internal else "a comment"
            say = f"Would add {kind} to" if asker.dry_run else f"Added {kind} to"
            receipt = Receipt(
                summary=f"{say} T-{row['number']} ({row['title']}): “{shorten(body)}”",
                status="done",
                comment=Comment(**made),
                ticket=await self._shown(connection, asker.principal, row["number"]),
            )
            return Done(receipt, {"kind": "comment", "id": made["id"], "number": row["number"]})

        arguments = {"ticket_id": ticket_id, "comment": body, "internal": internal}
        return await perform(self._engine, asker, "comment_ticket", arguments, work)

    async def assign(self, asker: Asker, ticket_id: str, assignee: str) -> Receipt:
        """Who works on a ticket; for those who work on its category."""
        assignee = required(assignee, "assignee", 200)

        async def work(connection: AsyncConnection, _receipt_id: str) -> Done:
            row = await self.find(connection, asker.principal, ticket_id)
            self._access.require_staff(asker.principal, row, "Assigning")
            person = await people.resolve(connection, asker.principal.tenant, assignee)
            values = {"assignee": person.user}
            if row["status"] == "open":
                values["status"] = "in_progress"
            return await self._change(
                connection, asker, row, values, verb=("assign", "Assigned"), tail=f" to {person.name}"
            )

        return await perform(self._engine, asker, "assign_ticket", {"ticket_id": ticket_id, "assignee": assignee}, work)

    async def close(self, asker: Asker, ticket_id: str, resolution: str) -> Receipt:
        """The end of a ticket, with what came of it."""
        resolution = required(resolution, "resolution", 2_000)

        async def work(connection: AsyncConnection, _receipt_id: str) -> Done:
            row = await self.find(connection, asker.principal, ticket_id)
            if row["status"] in {"closed", "withdrawn"}:
                return self._unchanged(
                    row, await self._comments(connection, asker.principal, row), f"is already {row['status']}"
                )
            values = {"status": "closed", "resolution": resolution}
            return await self._change(
                connection, asker, row, values, verb=("close", "Closed"), tail=f": “{shorten(resolution)}”"
            )

        return await perform(
            self._engine, asker, "close_ticket", {"ticket_id": ticket_id, "resolution": resolution}, work
        )

    async def reopen(self, asker: Asker, ticket_id: str, reason: str) -> Receipt:
        """A closed ticket is open again; the reason becomes a comment."""
        reason = required(reason, "reason", 2_000)

        async def work(connection: AsyncConnection, receipt_id: str) -> Done:
            row = await self.find(connection, asker.principal, ticket_id)
            if row["status"] not in {"closed", "withdrawn"}:
                return self._unchanged(
                    row, await self._comments(connection, asker.principal, row), f"is not closed but {row['status']}"
                )
            made = {
                "id": f"C-{receipt_id[-8:]}",
                "author": asker.principal.user,
                "body": reason,
                "internal": False,
                "created_at": now(),
            }
            await connection.execute(comments.insert().values(tenant=row["tenant"], number=row["number"], **made))
            values = {"status": "in_progress" if row["assignee"] else "open", "resolution": None}
            done = await self._change(
                connection, asker, row, values, verb=("reopen", "Reopened"), tail=f": “{shorten(reason)}”"
            )
            return Done(done.receipt, {**(done.inverse or {}), "comment": made["id"]})

        return await perform(self._engine, asker, "reopen_ticket", {"ticket_id": ticket_id, "reason": reason}, work)

    async def find(self, connection: AsyncConnection, principal: Principal, ticket_id: str) -> Row:
        """The ticket's row; one that the asker may not see does not exist."""
        digits = ticket_id.strip().upper().removeprefix("T-").removeprefix("#")
        if digits.isdecimal() and len(digits) <= 9:
            query = sa.select(tickets).where(self._access.visible(principal), tickets.c.number == int(digits))
            row = (await connection.execute(query)).one_or_none()
            if row is not None:
                return dict(row._mapping)
        raise NotFound(
            f"There is no ticket {ticket_id[:40]!r}.",
            hint="Ticket ids look like T-1001; find them with search_tickets.",
        )

    async def _change(
        self,
        connection: AsyncConnection,
        asker: Asker,
        row: Row,
        values: Mapping[str, Any],
        *,
        verb: tuple[str, str],
        tail: str,
    ) -> Done:
        changed = {key: value for key, value in values.items() if row[key] != value}
        name = f"T-{row['number']} ({row['title']})"
        if not changed:
            return self._unchanged(row, await self._comments(connection, asker.principal, row), "already is as asked")
        version = row["version"] + 1
        await connection.execute(_at(row).values(**changed, version=version, updated_at=now()))
        receipt = Receipt(
            summary=(f"Would {verb[0]} " if asker.dry_run else f"{verb[1]} ")
            + name
            + tail
            + ("" if tail.endswith("”") else "."),
            status="done",
            changes=[Change(field=key, before=row[key], after=value) for key, value in changed.items()],
            ticket=await self._shown(connection, asker.principal, row["number"]),
        )
        return Done(receipt, _inverse(row, version=version, **{key: row[key] for key in changed}))

    def _unchanged(self, row: Row, remarks: tuple[Comment, ...], why: str) -> Done:
        return Done(
            Receipt(
                summary=f"T-{row['number']} ({row['title']}) {why}; nothing changed.",
                status="unchanged",
                ticket=as_ticket(row, remarks),
            )
        )

    async def _shown(self, connection: AsyncConnection, principal: Principal, number: int) -> Ticket:
        query = sa.select(tickets).where(tickets.c.tenant == principal.tenant, tickets.c.number == number)
        row = dict((await connection.execute(query)).one()._mapping)
        return as_ticket(row, await self._comments(connection, principal, row))

    async def _comments(self, connection: AsyncConnection, principal: Principal, row: Row) -> tuple[Comment, ...]:
        return await read_comments(connection, row, internal=self._access.is_staff_of(principal, row))


async def read_comments(connection: AsyncConnection, row: Row, *, internal: bool) -> tuple[Comment, ...]:
    """The comments of a ticket, oldest first; internal ones only where the reader works on it."""
    query = sa.select(comments).where(comments.c.tenant == row["tenant"], comments.c.number == row["number"])
    if not internal:
        query = query.where(comments.c.internal.is_(False))
    found = await connection.execute(query.order_by(comments.c.created_at, comments.c.id))
    return tuple(
        Comment(id=r.id, author=r.author, body=r.body, internal=r.internal, created_at=r.created_at) for r in found
    )


def as_ticket(row: Row, remarks: tuple[Comment, ...]) -> Ticket:
    """A row as its reader sees it."""
    kept = {key: row[key] for key in Ticket.model_fields if key not in {"id", "comments"}}
    return Ticket(id=f"T-{row['number']}", comments=list(remarks), **kept)


def required(text: str, field: str, max_chars: int) -> str:
    """The text without surrounding space; raises when it is empty or too long."""
    clean = text.strip()
    if not clean or len(clean) > max_chars:
        raise UserFault(f"{field!r} needs 1 to {max_chars} characters; {len(clean)} were given.", param=field)
    return clean


def shorten(text: str, limit: int = 120) -> str:
    """One line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _at(row: Row) -> sa.Update:
    return tickets.update().where(tickets.c.tenant == row["tenant"], tickets.c.number == row["number"])


def _inverse(row: Row, *, version: int, **values: Any) -> dict[str, Any]:
    return {"kind": "ticket", "number": row["number"], "version": version, "set": values}


async def _next_number(connection: AsyncConnection, tenant: str) -> int:
    bumped = counters.update().where(counters.c.tenant == tenant).values(last_ticket=counters.c.last_ticket + 1)
    number = (await connection.execute(bumped.returning(counters.c.last_ticket))).scalar_one_or_none()
    if number is None:
        number = FIRST_NUMBER
        await connection.execute(counters.insert().values(tenant=tenant, last_ticket=number))
    return number
