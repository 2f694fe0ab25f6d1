"""Conversations in SQLite or PostgreSQL: a row for each message, two commits for each turn."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from conversations.contracts import Conversation, Message, Summary
from conversations.tables import conversation, message
from runs.events import RunResult
from runs.ids import new_conversation_id
from runs.tables import approval, run_record
from signalbox.errors import NotFound
from signalbox.identity import Principal
from signalbox.transactions import change, look

_TITLE_CHARS = 80
# Made once: putting a statement together costs more than running it.
_CREATE = sa.insert(conversation)
_WRITTEN = tuple(column for column in message.c if not column.primary_key)
_SAME = ("tenant", "conversation_id", "run_id", "role")
# A write that nobody waited for any more may have been made: the same one again is not a second message.
_APPEND = sa.insert(message).from_select(
    [column.name for column in _WRITTEN],
    sa.select(*(sa.bindparam(column.name, type_=column.type) for column in _WRITTEN)).where(
        ~sa.exists().where(*(message.c[name] == sa.bindparam(name, type_=message.c[name].type) for name in _SAME))
    ),
)
_TOUCH = (
    sa.update(conversation)
    .where(
        conversation.c.tenant == sa.bindparam("its_tenant"),
        conversation.c.user == sa.bindparam("its_user"),
        conversation.c.id == sa.bindparam("its_id"),
    )
    .values(updated_at=sa.bindparam("now"))
)
_NAME = _TOUCH.values(
    title=sa.case((conversation.c.title == "", sa.bindparam("new_title")), else_=conversation.c.title)
)
_DECIDED = ("pending", "done", "failed", "denied", "expired")


class SqlConversationStore:
    """Implements `conversations.contracts.ConversationStore`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(self, principal: Principal, conversation_id: str | None) -> Conversation:
        """The conversation of that id, or a new one, which is written with its first question."""
        if conversation_id is None:
            now = datetime.now(UTC)
            return Conversation(id=new_conversation_id(), title="", created_at=now, updated_at=now)
        return await look(self._engine, lambda connection: _own(connection, principal, conversation_id))

    async def adopt(self, principal: Principal, external_id: str) -> Conversation:
        """The conversation that a client knows by an id of its own; made on first use."""
        query = sa.select(conversation).where(*_owned(principal), conversation.c.external_id == external_id)

        def find(connection: sa.Connection) -> Conversation | None:
            row = connection.execute(query).mappings().first()
            return None if row is None else _conversation(row)

        def find_or_create(connection: sa.Connection) -> Conversation:
            known = find(connection)  # another request may have adopted it meanwhile
            return known or _create(connection, principal, new_conversation_id(), external_id=external_id)

        known = await look(self._engine, find)
        if known is not None:
            return known
        try:
            return await change(self._engine, find_or_create)
        except IntegrityError:  # another replica was faster
            return await change(self._engine, find_or_create)

    async def history(self, principal: Principal, conversation_id: str, *, limit: int = 20) -> list[Message]:
        """The latest messages, oldest first; none for a conversation that has not been written yet."""
        query = (
            sa.select(message)
            .join(conversation, conversation.c.id == message.c.conversation_id)
            .where(*_owned(principal), conversation.c.id == conversation_id)
            .order_by(message.c.id.desc())
            .limit(limit)
        )
        rows = await look(self._engine, lambda connection: connection.execute(query).mappings().all())
        return [_message(row) for row in reversed(rows)]

    async def add_question(
        self, principal: Principal, conversation_id: str, run_id: str, text: str, *, known: bool = False
    ) -> None:
        """First write of a turn, once for each run; makes the conversation and its title with the first question.

        One that is `known` was there before: it is not made again when it was deleted meanwhile, but not found.
        """

        def add(connection: sa.Connection) -> None:
            if not _touch(connection, principal, conversation_id, title=_title(text)):
                if known:
                    raise _unknown(conversation_id)
                try:
                    _create(connection, principal, conversation_id, title=_title(text))
                except IntegrityError as error:
                    raise _unknown(conversation_id) from error
            _append(connection, principal, conversation_id, role="user", text=text, run_id=run_id, result=None)

        await change(self._engine, add)

    async def add_answer(
        self, principal: Principal, conversation_id: str, result: RunResult, *, approval_id: str = ""
    ) -> None:
        """Second write of a turn, once for each run, and once for each approval that came to its end.

        Raises `NotFound` when the conversation was deleted meanwhile.
        """
        record = result.model_dump_json()

        def add(connection: sa.Connection) -> None:
            if not _touch(connection, principal, conversation_id):
                raise _unknown(conversation_id)
            answer = {
                "role": "assistant",
                "text": result.text,
                "run_id": approval_id or result.run_id,
                "result": record,
            }
            _append(connection, principal, conversation_id, **answer)

        await change(self._engine, add)

    async def summary(self, principal: Principal, conversation_id: str) -> Summary:
        """The summary of its earlier messages; an empty one when there is none."""
        columns = (conversation.c.summary, conversation.c.summary_upto, conversation.c.summary_tainted)
        query = sa.select(*columns).where(*_owned(principal), conversation.c.id == conversation_id)
        row = await look(self._engine, lambda connection: connection.execute(query).first())
        return Summary() if row is None else Summary(text=row[0], upto=row[1], tainted=row[2])

    async def keep_summary(self, principal: Principal, conversation_id: str, summary: Summary) -> None:
        """Keep a newer summary in place of the last; nothing happens when a newer one is there already."""
        text = summary.text.replace("\x00", "\ufffd")
        newer = (conversation.c.id == conversation_id, conversation.c.summary_upto < summary.upto)
        update = (
            sa.update(conversation)
            .where(*_owned(principal), *newer)
            .values(summary=text, summary_upto=summary.upto, summary_tainted=summary.tainted)
        )
        await change(self._engine, lambda connection: connection.execute(update))

    async def list(self, principal: Principal, *, limit: int = 50, before: str | None = None) -> list[Conversation]:
        """The principal's conversations, latest first; an unknown `before` is an error, not an empty page."""
        query = (
            sa.select(conversation)
            .where(*_owned(principal))
            .order_by(conversation.c.updated_at.desc(), conversation.c.id.desc())
            .limit(limit)
        )

        def page(connection: sa.Connection) -> Sequence[RowMapping]:
            if before is None:
                return connection.execute(query).mappings().all()
            last = _own(connection, principal, before)
            position = sa.tuple_(conversation.c.updated_at, conversation.c.id)
            further = query.where(position < sa.tuple_(sa.literal(last.updated_at), sa.literal(last.id)))
            return connection.execute(further).mappings().all()

        return [_conversation(row) for row in await look(self._engine, page)]

    async def delete(self, principal: Principal, conversation_id: str) -> None:
        """Remove a conversation, its messages, its runs' events and its approvals, in one transaction."""

        def remove(connection: sa.Connection) -> None:
            _own(connection, principal, conversation_id)
            for table in (run_record, approval):
                own = (table.c.tenant == principal.tenant, table.c.conversation_id == conversation_id)
                # An action that is being carried out keeps its row until it has ended.
                idle = (table.c.state.in_(_DECIDED),) if table is approval else ()
                connection.execute(sa.delete(table).where(*own, *idle))
            connection.execute(sa.delete(message).where(message.c.conversation_id == conversation_id))
            connection.execute(sa.delete(conversation).where(conversation.c.id == conversation_id))

        await change(self._engine, remove)


def _owned(principal: Principal) -> tuple[sa.ColumnElement[bool], ...]:
    return conversation.c.tenant == principal.tenant, conversation.c.user == principal.user


def _own(connection: sa.Connection, principal: Principal, conversation_id: str) -> Conversation:
    query = sa.select(conversation).where(*_owned(principal), conversation.c.id == conversation_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise _unknown(conversation_id)
    return _conversation(row)


def _touch(connection: sa.Connection, principal: Principal, conversation_id: str, *, title: str = "") -> bool:
    owned = {"its_tenant": principal.tenant, "its_user": principal.user, "its_id": conversation_id}
    values = {**owned, "now": datetime.now(UTC), **({"new_title": title} if title else {})}
    return connection.execute(_NAME if title else _TOUCH, values).rowcount == 1


def _create(
    connection: sa.Connection,
    principal: Principal,
    conversation_id: str,
    *,
    title: str = "",
    external_id: str | None = None,
) -> Conversation:
    now = datetime.now(UTC)
    made = Conversation(id=conversation_id, title=title, created_at=now, updated_at=now)
    row = {**made.model_dump(), "tenant": principal.tenant, "user": principal.user, "external_id": external_id}
    connection.execute(_CREATE, row)
    return made


def _append(connection: sa.Connection, principal: Principal, conversation_id: str, **values: Any) -> None:
    values["text"] = values["text"].replace("\x00", "\ufffd")  # PostgreSQL keeps no NUL
    row = {"tenant": principal.tenant, "conversation_id": conversation_id, "at": datetime.now(UTC), **values}
    connection.execute(_APPEND, row)


def _title(text: str) -> str:
    words = " ".join(text.replace("\x00", " ").split())
    if len(words) <= _TITLE_CHARS:
        return words
    return words[: _TITLE_CHARS - 1].rsplit(" ", 1)[0] + "…"


def _unknown(conversation_id: str) -> NotFound:
    return NotFound(
        f"There is no conversation {conversation_id!r}.",
        hint="List yours with GET /v1/conversations, or leave the id out to begin a new one.",
        param="conversation_id",
    )


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at  # SQLite forgets the zone; we write UTC only


def _conversation(row: Mapping[Any, Any]) -> Conversation:
    return Conversation(
        id=row["id"], title=row["title"], created_at=_utc(row["created_at"]), updated_at=_utc(row["updated_at"])
    )


def _message(row: Mapping[Any, Any]) -> Message:
    result = RunResult.model_validate_json(row["result"]) if row["result"] else None
    said = {name: row[name] for name in ("id", "role", "text")}
    run_id = result.run_id if result else row["run_id"]
    return Message(**said, at=_utc(row["at"]), run_id=run_id, result=result)
