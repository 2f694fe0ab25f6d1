"""Messages to people: accepted in a transaction, then sent, and never sent twice.

A message goes accepted → sending → sent. Whoever finds one `accepted` may send it. One left in `sending` by a killed
process may or may not have reached the mail server: a file is written again under the same name, which changes
nothing; mail is not sent again, and once its deadline is well over its receipt says `unknown`. That of a call which is
cancelled while it sends says so at once.
"""

import contextlib
import re
import secrets
import smtplib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mcp_servers.desk import people
from mcp_servers.desk.effects import Asker, Done, now, perform
from mcp_servers.desk.models import Message, Outcome, Receipt
from mcp_servers.desk.settings import DeskSettings, SmtpSettings
from mcp_servers.desk.tables import effects, messages
from mcp_servers.desk.tickets import required, shorten
from signalbox.errors import NotFound, UserFault

_SETTLE_S = 5.0
_ADDRESS = re.compile(r"^[^@\s,;<>\"]{1,64}@[A-Za-z0-9.-]{1,190}$")


class Messages:
    """Sends messages in somebody's name, through SMTP or into a folder."""

    def __init__(self, engine: AsyncEngine, settings: DeskSettings) -> None:
        self._engine = engine
        self._settings = settings

    async def send(self, asker: Asker, *, to: str, subject: str, body: str) -> Receipt:
        """Accept a message and try to send it once; the receipt says `sent`, `failed` or `unknown`."""
        subject = " ".join(required(subject, "subject", 200).split())
        body = required(body, "body", 20_000)

        async def work(connection: AsyncConnection, receipt_id: str) -> Done:
            address, name = await self._recipient(connection, asker, to)
            reply_to = await self._address_of(connection, asker)
            message = Message(
                id=f"M-{receipt_id[-12:]}", to=address, subject=subject, body=body, sender=reply_to, created_at=now()
            )
            if not asker.dry_run:
                await connection.execute(
                    messages.insert().values(
                        id=message.id,
                        tenant=asker.principal.tenant,
                        sender=asker.principal.user,
                        reply_to=reply_to,
                        to=address,
                        subject=subject,
                        body=body,
                        state="accepted",
                        created_at=message.created_at,
                        receipt_id=receipt_id,
                    )
                )
            say = "Would send" if asker.dry_run else "Accepted"
            return Done(
                Receipt(
                    summary=f"{say} a message to {name} <{address}>: “{shorten(subject)}”",
                    status="queued",
                    message=message,
                )
            )

        receipt = await perform(self._engine, asker, "send_message", {"to": to, "subject": subject, "body": body}, work)
        if receipt.status != "queued" or receipt.message is None:
            return receipt
        await self.deliver(receipt.message.id)
        return await self._current(receipt)

    async def recover(self) -> int:
        """Finish what a killed process left behind; the number of messages looked at is returned."""
        async with self._engine.begin() as connection:
            found = await connection.execute(
                sa.select(messages.c.id).where(messages.c.state.in_(("accepted", "sending")))
            )
            left = found.all()
        for row in left:
            await self.deliver(row.id, recovering=True)
        return len(left)

    async def deliver(self, message_id: str, *, recovering: bool = False) -> None:
        """Send one accepted message and record how it went; nothing happens while somebody else sends it."""
        async with self._engine.begin() as connection:
            here = messages.c.id == message_id
            claim = messages.update().where(here, messages.c.state == "accepted")
            took = await connection.execute(claim.values(state="sending", claimed_at=now()))
            row = (await connection.execute(sa.select(messages).where(here))).one()
        if took.rowcount == 0:
            if row.state != "sending":
                return
            patience = timedelta(seconds=2 * self._settings.sending_s)
            stale = datetime.now(UTC) - datetime.fromisoformat(row.claimed_at) > patience
            if self._settings.smtp is not None:
                if stale:
                    await self._settle(message_id, "unknown", "A restart interrupted the sending")
                return
            if not (stale or recovering):
                return
        mail = _compose(row._mapping, self._settings.sender)
        ship: Callable[[], None]
        smtp, outbox = self._settings.smtp, self._settings.outbox
        if smtp is not None:
            ship = lambda: _by_smtp(smtp, mail)  # noqa: E731
        elif outbox is not None:
            ship = lambda: _by_file(outbox, message_id, mail)  # noqa: E731
        else:
            await self._settle(message_id, "failed", "No outbox and no SMTP server are set")
            return
        await self._ship(message_id, ship)

    async def _ship(self, message_id: str, ship: Callable[[], None]) -> None:
        state: Outcome = "unknown"
        said = "The call was broken off while it was being sent"
        try:
            with anyio.fail_after(self._settings.sending_s):
                await anyio.to_thread.run_sync(ship, abandon_on_cancel=True)
        except _NotTaken as error:
            state, said = "failed", f"The mail server did not take it ({type(error.__cause__).__name__})"
        except (TimeoutError, OSError, smtplib.SMTPException) as error:
            said = f"The mail server broke off ({type(error).__name__})"
        else:
            state, said = "sent", "Sent"
        finally:
            # Of a cancelled call too: the thread that we left behind may send it yet, and nobody else would say so.
            with anyio.move_on_after(_SETTLE_S, shield=True):
                await self._settle(message_id, state, said)

    async def _settle(self, message_id: str, state: Outcome, said: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(messages.update().where(messages.c.id == message_id).values(state=state))
            row = (await connection.execute(sa.select(messages).where(messages.c.id == message_id))).one()
            here = effects.c.receipt_id == row.receipt_id
            receipt = Receipt.model_validate_json(
                (await connection.execute(sa.select(effects.c.receipt).where(here))).scalar_one()
            )
            rest = receipt.summary.removeprefix("Accepted a message")
            endings = {"failed": "was not sent", "unknown": "may or may not have been sent"}
            summary = f"Sent a message{rest}" if state == "sent" else f"A message{rest} {endings[state]}. {said}."
            updated = receipt.model_copy(update={"status": state, "summary": summary})
            await connection.execute(effects.update().where(here).values(receipt=updated.model_dump_json()))

    async def _current(self, receipt: Receipt) -> Receipt:
        async with self._engine.begin() as connection:
            query = sa.select(effects.c.receipt).where(effects.c.receipt_id == receipt.receipt_id)
            return Receipt.model_validate_json((await connection.execute(query)).scalar_one())

    async def _recipient(self, connection: AsyncConnection, asker: Asker, to: str) -> tuple[str, str]:
        try:
            person = await people.resolve(connection, asker.principal.tenant, to)
        except NotFound:
            if not _ADDRESS.match(to.strip()):
                raise
            if not self._settings.external_recipients:
                raise UserFault(
                    f"{to[:120]!r} is not in the directory, and messages to outside addresses are switched off.",
                    hint="Look the person up with find_person.",
                    param="to",
                ) from None
            return to.strip(), "an outside address"
        return person.email, person.name

    async def _address_of(self, connection: AsyncConnection, asker: Asker) -> str:
        try:
            return (await people.resolve(connection, asker.principal.tenant, asker.principal.user)).email
        except (NotFound, UserFault):
            return self._settings.sender


def _compose(row: sa.RowMapping, sender: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = row["to"]
    mail["Reply-To"] = row["reply_to"]
    mail["Subject"] = row["subject"]
    mail["Date"] = format_datetime(datetime.fromisoformat(row["created_at"]))
    mail["Message-ID"] = f"<{row['id']}@{sender.partition('@')[2] or 'localhost'}>"
    mail["X-Signalbox-On-Behalf-Of"] = row["sender"]
    mail.set_content(row["body"])
    return mail


def _by_file(folder: Path, message_id: str, mail: EmailMessage) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{message_id}.eml"
    scratch = folder / f".{message_id}.{secrets.token_hex(4)}.part"
    scratch.write_bytes(bytes(mail))
    try:
        scratch.replace(target)
    except FileNotFoundError:
        if not target.exists():  # else somebody else wrote the same and tidied up
            raise
    for left in folder.glob(f".{message_id}.*.part"):
        left.unlink(missing_ok=True)


class _NotTaken(Exception):
    """The mail server certainly did not take the mail; `__cause__` says why."""


def _by_smtp(settings: SmtpSettings, mail: EmailMessage) -> None:
    try:
        server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
    except (OSError, smtplib.SMTPException) as error:
        raise _NotTaken from error
    try:
        try:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.user:
                server.login(settings.user, settings.password.get_secret_value())
        except (OSError, smtplib.SMTPException) as error:
            raise _NotTaken from error
        try:
            server.send_message(mail)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise _NotTaken from error
        with contextlib.suppress(OSError, smtplib.SMTPException):  # taken; how it says goodbye does not matter
            server.quit()
    finally:
        server.close()
