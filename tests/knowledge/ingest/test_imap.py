"""The IMAP connector against a server of our own: nothing is marked, and a refusal is not an empty mailbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import samples
from pydantic import SecretStr

from knowledge.contracts import AccessRule
from knowledge.sources.imap import ImapSource
from knowledge.sources.opening import open_source
from knowledge.sources.settings import ImapSettings
from signalbox.errors import ToolFault, UserFault

STAFF = AccessRule(allow=frozenset({"group:staff"}))


class ImapServer:
    """As much of IMAP4rev1 as a reader of mail uses."""

    def __init__(self, messages: dict[int, bytes]) -> None:
        self.messages = messages
        self.commands: list[str] = []
        self.refused = ""
        self.slow: dict[int, asyncio.Event] = {}
        self.connections = 0
        self.greets, self.left = asyncio.Event(), asyncio.Event()
        self.greets.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self.greets.wait()
        writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        while line := (await reader.readline()).decode().strip():
            tag, _, command = line.partition(" ")
            self.commands.append(command)
            if self.refused and self.refused in command.upper():
                writer.write(f"{tag} NO try again later\r\n".encode())
                continue
            for answer in self._answers(command.upper(), command):
                await self._hesitate(command)
                writer.write(answer + b"\r\n")
            failed = command.upper().startswith("LOGIN") and "right" not in command
            writer.write(f"{tag} {'NO wrong password' if failed else 'OK done'}\r\n".encode())
            await writer.drain()
            if command.upper() == "LOGOUT":
                break
        writer.close()
        self.left.set()

    async def _hesitate(self, command: str) -> None:
        for uid, waited_for in self.slow.items():
            if command.startswith(f"UID FETCH {uid} "):
                await waited_for.wait()

    def _answers(self, command: str, raw: str) -> list[bytes]:
        if command == "CAPABILITY":
            return [b"* CAPABILITY IMAP4rev1"]
        if command.startswith("EXAMINE"):
            return [b"* %d EXISTS" % len(self.messages), b"* OK [UIDVALIDITY 7] ok"]
        if command.startswith("UID SEARCH"):
            return [b"* SEARCH " + b" ".join(b"%d" % uid for uid in self.messages)]
        if command.startswith("UID FETCH"):
            uids = [int(uid) for uid in raw.split()[2].split(",")]
            if "BODY.PEEK" in command:
                body = self.messages[uids[0]]
                return [b"* 1 FETCH (UID %d BODY[] {%d}\r\n%s)" % (uids[0], len(body), body)]
            date = b'"12-Nov-2026 08:42:00 +0100"'
            return [
                b"* 1 FETCH (UID %d RFC822.SIZE %d INTERNALDATE %s)" % (uid, len(self.messages[uid]), date)
                for uid in uids
            ]
        return [b"* BYE"] if command == "LOGOUT" else []


@asynccontextmanager
async def mailbox(messages: dict[int, bytes]) -> AsyncIterator[tuple[ImapServer, int]]:
    server = ImapServer(messages)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener:
        yield server, listener.sockets[0].getsockname()[1]


async def test_an_imap_folder_is_read_without_marking_anything(record, pipeline):
    mail = samples.mail().replace(b"\n", b"\r\n")
    async with mailbox({4: mail, 9: mail.replace(b"24 November", b"25 November")}) as (server, port):
        settings = ImapSettings(
            name="mail", host="127.0.0.1", port=port, tls="none", user="ada", password=SecretStr("right"), access=STAFF
        )
        async with open_source(settings) as source:
            first = await pipeline.run(source)
            second = await pipeline.run(source)
        assert (first.taken, second.unchanged) == (2, 2)
        assert record.paths() == {"INBOX/4.eml", "INBOX/9.eml"}
        assert str(record.document_at("INBOX/4.eml").modified) == "2026-11-12 08:42:00+01:00"
        assert not [command for command in server.commands if command.startswith(("SELECT", "UID STORE"))]
        wrong = settings.model_copy(update={"password": SecretStr("wrong")})
        async with open_source(wrong) as source:
            with pytest.raises(ToolFault, match="wrong password"):
                await pipeline.run(source)


def mail_settings(port: int) -> ImapSettings:
    return ImapSettings(
        name="mail", host="127.0.0.1", port=port, tls="none", user="ada", password=SecretStr("right"), access=STAFF
    )


async def test_a_message_that_was_given_up_is_never_taken_for_the_next_one():
    async with mailbox({4: b"Subject: four\r\n\r\nfour", 9: b"Subject: nine\r\n\r\nnine"}) as (server, port):
        server.slow = {4: asyncio.Event()}
        async with open_source(mail_settings(port)) as source:
            four, nine = [item async for item in source.items()]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await source.read(four)
            server.slow[4].set()
            assert b"nine" in await source.read(nine)
            assert b"four" in await source.read(four)
        assert server.connections == 2


async def test_a_mailbox_that_is_given_up_while_it_connects_leaves_no_connection():
    async with mailbox({4: b"Subject: four\r\n\r\nfour"}) as (server, port):
        server.greets.clear()
        async with open_source(mail_settings(port)) as source:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await anext(aiter(source.items()))
        server.greets.set()
        async with asyncio.timeout(5):
            await server.left.wait()
        assert not [command for command in server.commands if command.startswith("LOGIN")]


@pytest.mark.parametrize("refused", ["UID SEARCH", "RFC822.SIZE", "EXAMINE"])
async def test_a_mail_server_that_refuses_to_list_removes_nothing(record, pipeline, refused):
    async with mailbox({4: samples.mail().replace(b"\n", b"\r\n")}) as (server, port):
        async with open_source(mail_settings(port)) as source:
            await pipeline.run(source)
            server.refused = refused
        async with open_source(mail_settings(port)) as source:
            with pytest.raises(ToolFault, match=r"refused: .*try again later"):
                await pipeline.run(source)
    assert record.paths() == {"INBOX/4.eml"}


async def test_a_message_that_the_server_refuses_just_now_may_be_read_later():
    async with mailbox({4: b"Subject: four\r\n\r\nfour"}) as (server, port), open_source(mail_settings(port)) as source:
        (four,) = [item async for item in source.items()]
        server.refused = "BODY.PEEK"
        with pytest.raises(ToolFault, match="message 4 of 'INBOX'") as fault:
            await source.read(four)
        assert fault.value.retryable


def test_a_mailbox_elsewhere_is_not_read_without_tls():
    with pytest.raises(UserFault, match="without TLS"):
        ImapSource(
            ImapSettings(name="m", host="mail.example", tls="none", user="a", password=SecretStr("x"), access=STAFF)
        )
