"""The same key has the same effect, once: in sequence, at the same time, in two processes, and across a kill -9."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters

from mcp_servers.desk import DeskSettings
from mcp_servers.desk.desk import Desk
from mcp_servers.desk.effects import Asker
from mcp_servers.desk.settings import SmtpSettings
from mcp_servers.hosting import CALL_META, CONFIG_ENV, TOKEN_META, ServerConfig, dump_config
from signalbox.errors import Conflict
from signalbox.identity import Principal
from tests.mcp_servers.desk.conftest import AUDIENCE, MINT, PRINTER, Call, token

ROOT = Path(__file__).parents[3]
WHAT: dict[str, Any] = {**PRINTER}
ADA = Principal(user="ada", groups=frozenset({"staff", "operations"}))


def sqlite(settings: DeskSettings) -> sqlite3.Connection:
    """The desk's file, read by somebody else."""
    return sqlite3.connect(settings.url.get_secret_value().partition("///")[2])


def parameters(settings: DeskSettings) -> StdioServerParameters:
    """How the desk is started as a process."""
    config = ServerConfig[DeskSettings](audience=AUDIENCE, key=MINT.key_for(AUDIENCE), settings=settings)
    environment = {CONFIG_ENV: dump_config(config), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    return StdioServerParameters(command=sys.executable, args=["-m", "mcp_servers.desk"], env=environment, cwd=ROOT)


async def test_a_repeated_key_returns_the_first_receipt(call: Call):
    first = await call.ok("create_ticket", PRINTER, idempotency_key="appr_1")
    assert await call.ok("create_ticket", PRINTER, idempotency_key="appr_1") == first
    assert len((await call.rows())["tickets"]) == 1


async def test_a_key_belongs_to_one_call_and_one_person(call: Call):
    await call.ok("create_ticket", PRINTER, idempotency_key="k")
    other = await call("create_ticket", PRINTER | {"title": "Other"}, idempotency_key="k")
    assert "was already used for another call. Use a new key." in other.error
    assert (await call.ok("create_ticket", PRINTER, user="bruno", idempotency_key="k"))["ticket"]["id"] == "T-1002"


async def test_twenty_calls_at_once_with_one_key_have_one_effect(call: Call):
    asker = Asker(ADA, idempotency_key="race")
    receipts = await asyncio.gather(*(call.desk.tickets.create(asker, **WHAT) for _ in range(20)))
    assert len({receipt.receipt_id for receipt in receipts}) == 1
    assert len((await call.rows())["tickets"]) == 1


async def test_twenty_messages_at_once_with_one_key_leave_once(call: Call, settings: DeskSettings):
    asker = Asker(ADA, idempotency_key="mail")
    mail = {"to": "bruno", "subject": "Hello", "body": "There"}
    receipts = await asyncio.gather(*(call.desk.messages.send(asker, **mail) for _ in range(20)))
    assert len({receipt.receipt_id for receipt in receipts}) == 1
    assert settings.outbox is not None
    assert len(list(settings.outbox.iterdir())) == 1
    assert (await call.ok("send_message", mail, idempotency_key="mail"))["status"] == "sent"


KEYS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["One", "Two"])), min_size=1, max_size=8)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(KEYS)
def test_any_order_of_keys_has_one_effect_for_each(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, str]]
):
    async def run() -> None:
        desk = Desk(DeskSettings.model_validate({"url": f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('d')}/d.db"}))
        await desk.open()

        async def one(key: str, title: str) -> str:
            try:
                receipt = await desk.tickets.create(Asker(ADA, idempotency_key=key), **{**WHAT, "title": title})
            except Conflict:
                return "conflict"
            return f"{key} {receipt.receipt_id} {receipt.ticket and receipt.ticket.title}"

        seen = await asyncio.gather(*(one(key, title) for key, title in calls))
        effects = {line for line in seen if line != "conflict"}
        assert len(effects) == len({key for key, _ in calls})
        async with desk.engine.connect() as connection:
            assert (await connection.exec_driver_sql("SELECT COUNT(*) FROM desk_tickets")).scalar_one() == len(effects)
        await desk.close()

    asyncio.run(run())


@pytest.mark.timeout(60)  # it starts two processes
async def test_two_processes_and_one_key_have_one_effect(call: Call, settings: DeskSettings):
    async def through_a_process() -> dict[str, Any]:
        async with Client(parameters(settings)) as client:
            meta: Any = {TOKEN_META: token("ada"), CALL_META: {"idempotency_key": "both"}}
            return (await client.call_tool("create_ticket", PRINTER, meta=meta)).structured_content or {}

    one, two = await asyncio.gather(through_a_process(), through_a_process())
    assert one == two and one["ticket"]["id"] == "T-1001"
    assert len((await call.rows())["tickets"]) == 1


KILLED = """
import asyncio, sys
from mcp_servers.desk import DeskSettings
from mcp_servers.desk.desk import Desk
from mcp_servers.desk.effects import Asker
from signalbox.identity import Principal
async def main():
    desk = Desk(DeskSettings.model_validate({"url": sys.argv[1], "outbox": sys.argv[2]}))
    ada = Principal(user="ada", groups=frozenset({"staff"}))
    print("ready", flush=True)
    for number in range(10_000):
        await desk.tickets.create(Asker(ada, idempotency_key=f"t{number}"), title=f"Ticket {number}", description="x",
                                  category="it", priority="low", site=None)
        await desk.messages.send(Asker(ada, idempotency_key=f"m{number}"), to="bruno", subject=f"S{number}", body="x")
asyncio.run(main())
"""


@pytest.mark.parametrize("after_s", [0.15, 0.4])
async def test_nothing_is_lost_or_doubled_by_kill_9(call: Call, settings: DeskSettings, after_s: float):
    assert settings.outbox is not None
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, settings.url.get_secret_value(), str(settings.outbox)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    await asyncio.to_thread(child.stdout.readline)
    await asyncio.sleep(after_s)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with sqlite(settings) as connection:
        done = connection.execute("SELECT COUNT(*) FROM desk_effects WHERE tool = 'create_ticket'").fetchone()[0]
        assert connection.execute("SELECT COUNT(*) FROM desk_tickets").fetchone() == (done,)
    connection.close()
    await call.desk.messages.recover()
    for number in range(done + 2):  # a client that repeats everything, and goes on
        what: dict[str, Any] = {"title": f"Ticket {number}", "description": "x", "category": "it", "priority": "low"}
        await call.desk.tickets.create(Asker(ADA, idempotency_key=f"t{number}"), **what, site=None)
        mail = {"to": "bruno", "subject": f"S{number}", "body": "x"}
        sent = await call.desk.messages.send(Asker(ADA, idempotency_key=f"m{number}"), **mail)
        assert sent.status == "sent"
    rows = await call.rows()
    assert len(rows["tickets"]) == len({row[2] for row in rows["tickets"]}) == done + 2
    subjects = [message_from_bytes(p.read_bytes(), policy=default)["Subject"] for p in settings.outbox.glob("*.eml")]
    assert sorted(subjects) == sorted(f"S{number}" for number in range(done + 2))
    assert list(settings.outbox.glob(".*")) == []


class SmtpPeer:
    """A mail server that takes what it is given, or breaks off where it is told to."""

    def __init__(self, breaks_at: str = "") -> None:
        self.taken: list[bytes] = []
        self.breaks_at = breaks_at
        self._open: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> "SmtpPeer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        for writer in self._open:
            writer.close()
        while self._open:
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.append(writer)
        try:
            await self._converse(reader, writer)
        finally:
            writer.close()
            self._open.remove(writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 peer\r\n")
        while line := await reader.readline():
            word = line.split()[0].upper().decode()
            if word == "RCPT" and self.breaks_at == "RCPT":
                writer.write(b"550 no such person\r\n")
            elif word == "DATA":
                writer.write(b"354 go on\r\n")
                self.taken.append(await reader.readuntil(b"\r\n.\r\n"))
                if self.breaks_at == "DATA":
                    break
                if self.breaks_at == "answer":
                    continue
                writer.write(b"250 ok\r\n")
            else:
                writer.write(b"250 ok\r\n")
            await writer.drain()


def smtp(peer: SmtpPeer) -> SmtpSettings:
    return SmtpSettings(host="127.0.0.1", port=peer.port, starttls=False, timeout_s=3)


MAIL = {"to": "Bruno Esteves", "subject": "Änderung\r\nBcc: everyone@x.example", "body": "Grüße aus Gent"}


async def test_mail_reaches_the_server_with_its_headers_clean(connect: Any):
    async with SmtpPeer() as peer:
        call = await connect(smtp=smtp(peer))
        receipt = await call.ok("send_message", MAIL, idempotency_key="k")
        assert (receipt["status"], receipt["undoable"]) == ("sent", False)
        await call.ok("send_message", MAIL, idempotency_key="k")
    (raw,) = peer.taken
    mail = message_from_bytes(raw, policy=default)
    assert (mail["To"], mail["Bcc"]) == ("bruno.esteves@larkspur.example", None)
    assert mail["Subject"] == "Änderung Bcc: everyone@x.example"
    assert mail["Reply-To"] == "ada.verhulst@larkspur.example"
    assert mail.get_content().startswith("Grüße aus Gent")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("breaks_at", "status", "said"),
    [
        ("RCPT", "failed", "was not sent. The mail server did not take it (SMTPRecipientsRefused)."),
        ("DATA", "unknown", "may or may not have been sent. The mail server broke off (SMTPServerDisconnected)."),
    ],
)
async def test_a_receipt_says_what_is_known_of_a_broken_mail(connect: Any, breaks_at: str, status: str, said: str):
    async with SmtpPeer(breaks_at) as peer:
        call = await connect(smtp=smtp(peer))
        receipt = await call.ok("send_message", MAIL, idempotency_key="k")
        assert receipt["status"] == status and said in receipt["summary"]
        assert await call.ok("send_message", MAIL, idempotency_key="k") == receipt
        assert len(peer.taken) == (1 if breaks_at == "DATA" else 0)


async def test_a_mail_server_that_is_not_there_is_a_failure_that_is_said(connect: Any):
    call = await connect(smtp=SmtpSettings(host="127.0.0.1", port=9, starttls=False, timeout_s=2))
    receipt = await call.ok("send_message", MAIL)
    assert receipt["status"] == "failed"


async def test_a_receipt_of_a_call_that_was_cancelled_while_it_sent_says_unknown(connect: Any):
    async with SmtpPeer("answer") as peer:
        call = await connect(smtp=smtp(peer))
        sending = asyncio.create_task(call("send_message", MAIL, idempotency_key="k"))
        while not peer.taken:
            await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.wait([sending])
        receipt = await call.ok("send_message", MAIL, idempotency_key="k")
        assert receipt["status"] == "unknown"
        said = "may or may not have been sent. The call was broken off while it was being sent."
        assert receipt["summary"].endswith(said)
    assert len(peer.taken) == 1


async def test_mail_that_a_killed_process_was_sending_is_not_sent_again(connect: Any):
    async with SmtpPeer() as peer:
        call = await connect(smtp=smtp(peer))
        await call.ok("send_message", MAIL, idempotency_key="k")
        async with call.desk.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE desk_messages SET state = 'sending'")
        assert await call.desk.messages.recover() == 1
        assert (await call.ok("send_message", MAIL, idempotency_key="k"))["status"] == "sent"
        async with call.desk.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE desk_messages SET claimed_at = '2026-01-01T00:00:00Z'")
        assert await call.desk.messages.recover() == 1
        assert (await call.ok("send_message", MAIL, idempotency_key="k"))["status"] == "unknown"
    assert len(peer.taken) == 1


async def test_an_outside_address_needs_permission(connect: Any):
    refused = await (await connect())("send_message", MAIL | {"to": "someone@elsewhere.example"})
    assert "messages to outside addresses are switched off" in refused.error
    allowed = await connect(external_recipients=True)
    sent = await allowed.ok("send_message", MAIL | {"to": "someone@elsewhere.example"})
    assert sent["message"]["to"] == "someone@elsewhere.example"
    assert "Error" in (await allowed("send_message", MAIL | {"to": "a@b.example, c@d.example"})).error
