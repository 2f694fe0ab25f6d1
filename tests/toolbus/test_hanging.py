"""An HTTP server that hangs holds nobody up: not the start, not a reconnection, not the end."""

import asyncio

from tests.toolbus.hanging import HangingServer
from tests.toolbus.world import QUICK, READ_ALL, World

SHORT = QUICK.model_copy(update={"handshake_timeout_s": 0.5, "shutdown_timeout_s": 1})


async def test_a_server_that_hangs_after_it_gave_a_session_does_not_keep_the_bus_from_opening(world: World) -> None:
    async with HangingServer("tools/list", "DELETE") as server:
        async with asyncio.timeout(8), world.open([server.spec], settings=SHORT) as bus:
            assert await bus.health() == {"probe": "it did not complete the handshake within 0.5 s"}
        assert "DELETE" in server.seen


async def test_a_lost_session_is_made_anew_although_its_server_does_not_let_go_of_it(world: World) -> None:
    rules = [READ_ALL.model_copy(update={"tools": ("probe__add",)})]
    async with HangingServer("DELETE") as server, world.open([server.spec], rules) as bus:
        server.forgets = True
        calling = asyncio.create_task(bus.raw_call(world.context().chain, "probe__add", {}))
        await world.until(lambda: "DELETE" in server.seen)
        assert await bus.health() == {"probe": "the connection was lost and is being made anew"}
        assert (await calling).text == "added"
        assert (server.sessions, await bus.health()) == (2, {"probe": "up"})


async def test_a_call_that_is_cancelled_twice_ends_at_the_server_too(world: World) -> None:
    rules = [READ_ALL.model_copy(update={"tools": ("probe__add",)})]
    async with HangingServer("tools/call") as server:
        spec = server.spec.model_copy(update={"call_timeout_s": 60})
        async with world.open([spec], rules) as bus:
            calling = asyncio.create_task(bus.raw_call(world.context().chain, "probe__add", {}))
            await world.until(lambda: "tools/call" in server.seen)
            calling.cancel()
            await asyncio.sleep(0.001)
            calling.cancel()
            await asyncio.wait([calling])
            await world.until(lambda: "notifications/cancelled" in server.seen, seconds=5)
