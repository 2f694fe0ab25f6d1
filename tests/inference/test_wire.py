"""HTTP/1.1 to a model server, against sockets that answer byte for byte what a test says."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.backends.wire import Reply, Wire, WireFault

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
OK = b"HTTP/1.1 200 OK\r\n"
SIZED = OK + b"Content-Length: 5\r\nRetry-After: 7\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
CLOSED = OK + b"\r\nhello"
INTERIM = b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" + SIZED


@contextlib.asynccontextmanager
async def wire_to(serve: Serve) -> AsyncIterator[Wire]:
    """A wire to a server that does so with each connection."""
    serving: set[asyncio.Task[Any] | None] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = Wire(f"http://127.0.0.1:{port}/base", unix_socket=None, connect_s=2)
    try:
        yield wire
    finally:
        await wire.close()
        await asyncio.gather(*filter(None, serving))
        server.close()
        await server.wait_closed()


async def request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body; raises `IncompleteReadError` when the client has gone."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head + await reader.readexactly(size)


def answering(*pieces: bytes, then_close: bool = False, seen: list[bytes] | None = None) -> Serve:
    """Answer each request on a connection with these pieces."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await request(reader)
            if seen is not None:
                seen.append(asked)
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            if then_close:
                break

    return serve


async def post(wire: Wire, body: bytes = b"{}") -> Reply:
    async with asyncio.timeout(5):
        return await wire.send("POST", "/v1/x", {"X-Test": "1"}, body, True)


async def whole(reply: Reply) -> bytes:
    pieces: list[bytes] = []
    async with asyncio.timeout(5):
        while piece := await reply.read():
            pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("raw", [SIZED, CHUNKED, CLOSED, INTERIM], ids=["sized", "chunked", "until closed", "interim"])
async def test_a_body_is_whole_however_its_end_is_told(raw: bytes) -> None:
    async with wire_to(answering(raw, then_close=raw is CLOSED)) as wire:
        reply = await post(wire)
        assert (reply.status, await whole(reply), reply.at_end) == (200, b"hello", True)
        reply.release()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(raw=st.sampled_from([SIZED, CHUNKED, INTERIM]), cuts=st.lists(st.integers(1, 150), max_size=6))
def test_where_the_network_cuts_makes_no_difference(raw: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(raw)]
    pieces = [raw[start:end] for start, end in itertools.pairwise(edges)]

    async def ask() -> tuple[int, bytes]:
        async with wire_to(answering(*pieces)) as wire:
            reply = await post(wire)
            return reply.status, await whole(reply)

    assert asyncio.run(ask()) == (200, b"hello")


async def test_the_request_is_sent_as_it_should_be() -> None:
    seen: list[bytes] = []
    async with wire_to(answering(SIZED, seen=seen)) as wire:
        reply = await post(wire, b'{"a": 1}')
        assert reply.header("retry-after") == "7"
    head, _, body = seen[0].partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    assert (first, body) == (b"POST /base/v1/x HTTP/1.1", b'{"a": 1}')
    assert sorted(line.partition(b":")[0] for line in headers) == [
        b"Accept-Encoding",
        b"Content-Length",
        b"Host",
        b"User-Agent",
        b"X-Test",
    ]


async def test_a_header_with_a_line_break_is_not_sent() -> None:
    async with wire_to(answering(SIZED)) as wire:
        with pytest.raises(ValueError, match="line break"):
            await wire.send("POST", "/", {"Authorization": "Bearer a\r\nX: y"}, b"", True)


async def test_connections_serve_again_only_when_their_reply_was_read() -> None:
    connections = 0
    answer = answering(SIZED)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answer(reader, writer)

    async with wire_to(serve) as wire:
        for _ in range(3):
            reply = await post(wire)
            await whole(reply)
            reply.release()
        assert connections == 1
        (await post(wire)).release()
        reply = await post(wire)
        assert connections == 2
        assert await whole(reply) == b"hello"


@pytest.mark.parametrize("end", [b"Connection: close\r\n", b""], ids=["said", "done"])
async def test_a_connection_that_the_server_closes_is_not_used_again(end: bytes) -> None:
    raw = SIZED.replace(b"Retry-After: 7\r\n", end)
    async with wire_to(answering(raw, then_close=True)) as wire:
        for _ in range(3):
            reply = await post(wire)
            assert await whole(reply) == b"hello"
            reply.release()
            await asyncio.sleep(0.02)  # the end of the connection arrives


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "it closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-", "it closed the connection"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "what it sent is not HTTP"),
        (OK + b"X: " + b"y" * 70_000 + b"\r\n\r\n", "its headers are too large"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "its reply is compressed"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "not HTTP|closed"),
    ],
)
async def test_what_is_no_answer_is_said_in_a_few_words(raw: bytes, says: str) -> None:
    async with wire_to(answering(raw, then_close=True)) as wire:
        with pytest.raises(WireFault, match=says):
            await post(wire)


@pytest.mark.parametrize("raw", [SIZED[:-1], CHUNKED[:-9], CHUNKED.replace(b"2;ext", b"zz;ext")])
async def test_a_body_that_breaks_off_is_no_whole_body(raw: bytes) -> None:
    async with wire_to(answering(raw, then_close=True)) as wire:
        with pytest.raises(WireFault, match=r"cut the connection in the middle|not HTTP"):
            await whole(await post(wire))


async def test_what_nobody_asked_for_ends_the_connection_and_no_request() -> None:
    async with wire_to(answering(SIZED + SIZED)) as wire:
        for _ in range(2):
            reply = await post(wire)
            assert await whole(reply) == b"hello"
            reply.release()


async def test_a_name_with_several_addresses_is_tried_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wire_to(answering(SIZED)) as known:
        loop, port = asyncio.get_running_loop(), known._port

        async def both(*_: Any, **__: Any) -> list[Any]:
            return [(0, 0, 0, "", ("127.0.0.2", port)), (0, 0, 0, "", ("127.0.0.1", port))]

        monkeypatch.setattr(loop, "getaddrinfo", both)
        wire = Wire(f"http://model.example:{port}", unix_socket=None, connect_s=2)
        reply = await post(wire)
        assert await whole(reply) == b"hello"
        await wire.close()


async def test_closing_ends_the_request_at_the_server_and_wakes_who_reads() -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED.partition(b"2;ext")[0])
        with contextlib.suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with wire_to(serve) as wire:
        reply = await post(wire)
        reading = asyncio.create_task(whole(reply))
        await asyncio.sleep(0.01)
        reply.close()
        with pytest.raises(WireFault, match="was closed"):
            await reading
        await asyncio.wait_for(gone.wait(), 2)


async def test_a_server_is_held_while_nobody_reads() -> None:
    size = 64 * 1024 * 1024
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await request(reader)
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % size)
        while written < size:
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    async with wire_to(serve) as wire:
        reply = await post(wire)
        await asyncio.sleep(0.2)
        assert written < size / 2
        assert len(await whole(reply)) == size
        reply.release()
