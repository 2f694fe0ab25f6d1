"""Servers that die, hang, lie or change, and what is left of them afterwards."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.toolbus.http_probe import HttpProbe
from tests.toolbus.world import QUICK, ROOT, World, alive
from toolbus.contracts import ToolOutcome
from toolbus.settings import ServerSpec

pytestmark = pytest.mark.timeout(30)  # real processes start, on machines that others use too


async def call(world: World, tool: str, **arguments: object) -> ToolOutcome:
    context = world.context()
    await (await world.bus.workbench(context, ["probe__*"])).call_tool(f"probe__{tool}", arguments)
    return context.outcomes[0]


async def test_a_read_only_call_is_replayed_once_after_the_server_died(world: World) -> None:
    async with world.open():
        outcome = await call(world, "die_once", marker=str(world.folder / "marker"))
        assert (outcome.status, outcome.structured) == ("ok", {"result": "survived"})
    assert world.noted() == ["die_once", "die_once"]


async def test_a_write_whose_server_died_happens_once_and_its_outcome_is_unknown(world: World) -> None:
    async with world.open() as bus:
        outcome = await call(world, "write_and_die", text="pay")
        assert outcome.status == "error"
        assert "the outcome is unknown" in outcome.text
        assert (await call(world, "add", a=1, b=1)).status == "ok"
        assert await bus.health() == {"probe": "up"}
    assert world.noted() == ["write_and_die pay", "add 1 1"]


async def test_a_server_killed_while_a_write_is_under_way_is_noticed_at_once(world: World) -> None:
    async with world.open():
        pid = (await call(world, "pid")).structured["result"]
        writing = asyncio.create_task(call(world, "slow_write", text="x"))
        await world.until_noted("slow_write begins x")
        os.kill(pid, signal.SIGKILL)
        started = time.perf_counter()
        outcome = await writing
        assert time.perf_counter() - started < 2  # not after the call's deadline
        assert "the outcome is unknown" in outcome.text


async def test_a_server_killed_while_idle_is_restarted_before_anybody_asks(world: World) -> None:
    async with world.open() as bus:
        pid = (await call(world, "pid")).structured["result"]
        os.kill(pid, signal.SIGKILL)
        await world.until(lambda: not alive(pid))
        await asyncio.sleep(0.05)
        health = bus._sources["probe"].status  # pyright: ignore[reportPrivateUsage]
        await world.until(lambda: health() == "up")
        assert (await call(world, "pid")).structured["result"] != pid


async def test_a_server_that_dies_of_every_call_is_left_alone(world: World) -> None:
    async with world.open() as bus:
        outcomes = [await call(world, "die_always") for _ in range(4)]
        assert {outcome.status for outcome in outcomes} == {"error"}
        assert outcomes[-1].text.startswith(("The tool server 'probe'", "'probe' is not available", "There is no tool"))
        assert (await bus.health())["probe"] != "up"
    assert len(world.noted()) <= 4


async def test_a_call_that_takes_too_long_ends_at_the_server_too(world: World) -> None:
    async with world.open([world.probe(call_timeout_s=0.3)]):
        outcome = await call(world, "slow", seconds=60)
        assert outcome.text.startswith("'slow' did not answer within 0.3 s.")
        await world.until_noted("slow cancelled CancelledError")


async def test_repeated_timeouts_open_the_circuit_and_a_success_closes_it(world: World) -> None:
    settings = QUICK.model_copy(update={"breaker_failures": 2, "breaker_cool_down_s": 0.4})
    async with world.open([world.probe(call_timeout_s=0.15)], settings=settings) as bus:
        for _ in range(2):
            await call(world, "slow", seconds=60)
        assert (await bus.health())["probe"].startswith("left alone for")
        refused = await call(world, "add", a=1, b=1)
        assert refused.status == "error"
        await asyncio.sleep(0.45)
        assert (await call(world, "add", a=1, b=1)).status == "ok"
        assert await bus.health() == {"probe": "up"}


async def test_a_tool_runs_no_more_often_at_a_time_than_it_may(world: World) -> None:
    settings = QUICK.model_copy(update={"per_tool_concurrency": 2})
    async with world.open(settings=settings):
        started = time.perf_counter()
        await asyncio.gather(*(call(world, "slow", seconds=0.3) for _ in range(4)))
        assert time.perf_counter() - started > 0.6
        assert world.noted()[:2] == ["slow start", "slow start"]


async def test_a_new_tool_is_offered_after_the_server_says_that_its_list_changed(world: World) -> None:
    async with world.open() as bus:
        chain = world.context().chain
        assert "probe__extra" not in {tool.name for tool in await bus.tools(chain)}
        await call(world, "grow")
        async with asyncio.timeout(15):
            while "probe__extra" not in {tool.name for tool in await bus.tools(chain)}:
                await asyncio.sleep(0.01)
        assert (await call(world, "extra", word="hello")).structured == {"result": "hello"}


async def test_servers_that_do_not_start_are_named_and_hold_nobody_up(world: World) -> None:
    specs = [
        world.probe(),
        ServerSpec(name="missing", command="/nonexistent/command"),
        ServerSpec(name="broken", command=sys.executable, args=("-c", "raise SystemExit('no')")),
        ServerSpec(name="closed", transport="http", url="http://127.0.0.1:9/mcp"),
    ]
    started = time.perf_counter()
    async with world.open(specs) as bus:
        assert time.perf_counter() - started < 15
        health = await bus.health()
        assert health["probe"] == "up"
        assert health["missing"] == "its command or folder does not exist (/nonexistent/command)"
        assert health["broken"].startswith("it ended")
        assert "closed" in health and health["closed"] != "up"
        outcome = await bus.raw_call(world.context().chain, "missing__thing", {})
        assert outcome.text.startswith("'missing' is not available: its command")


async def test_a_server_that_never_answers_the_handshake_is_given_up(world: World) -> None:
    silent = ServerSpec(name="silent", command=sys.executable, args=("-c", "import sys; sys.stdin.read()"))
    settings = QUICK.model_copy(update={"handshake_timeout_s": 0.5})
    started = time.perf_counter()
    async with world.open([silent], settings=settings) as bus:
        assert time.perf_counter() - started < 15
        assert await bus.health() == {"silent": "it did not complete the handshake within 0.5 s"}


async def test_no_process_is_left_after_close(world: World) -> None:
    async with world.open():
        pid = (await call(world, "pid")).structured["result"]
        assert alive(pid)
    assert not alive(pid)


HOST = """
import asyncio, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.toolbus.servers.spec import probe_spec
from toolbus.mcp_server import McpServerHandle
from toolbus.settings import ToolBusSettings
async def main():
    stop = asyncio.Event()
    if {graceful}:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    handle = McpServerHandle(probe_spec(Path({folder!r}), ours=False), ToolBusSettings())
    await handle.start(lambda source, tools: None)
    print("up", flush=True)
    await stop.wait()
    await handle.close()
asyncio.run(main())
"""


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def start_host(folder: Path, *, graceful: bool) -> "subprocess.Popen[str]":
    folder.mkdir()
    script = HOST.format(root=str(ROOT), folder=str(folder), graceful=graceful)
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def end_host(host: "subprocess.Popen[str]", number: signal.Signals) -> list[int]:
    """Waits until it is up, ends it, and gives the processes that it had started."""
    assert host.stdout is not None
    with host.stdout as output:
        next(line for line in output if line == "up\n")
    started = children(host.pid)
    host.send_signal(number)
    host.wait(15)
    return started


@pytest.mark.timeout(60)  # four interpreters start at once
def test_no_process_outlives_ours_however_we_end(tmp_path: Path) -> None:
    ends = [(True, signal.SIGTERM), (True, signal.SIGINT), (False, signal.SIGTERM), (False, signal.SIGKILL)]
    hosts = [start_host(tmp_path / str(index), graceful=graceful) for index, (graceful, _) in enumerate(ends)]
    try:
        for host, (graceful, number) in zip(hosts, ends, strict=True):
            (child,) = end_host(host, number)
            deadline = time.monotonic() + (0 if graceful else 8)
            while alive(child) and time.monotonic() < deadline:
                time.sleep(0.02)
            assert not alive(child), (graceful, number)
    finally:
        for host in hosts:
            host.kill()
            host.wait()


async def test_a_server_that_ignores_every_polite_request_is_ended_too(world: World) -> None:
    stubborn = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"
    )
    file = world.folder / "pid"
    spec = ServerSpec(name="stubborn", command=sys.executable, args=("-c", stubborn, str(file)))
    settings = QUICK.model_copy(update={"handshake_timeout_s": 0.5, "restart_backoff_s": 5})
    async with world.open([spec], settings=settings):
        pid = int(file.read_text())
    assert not alive(pid)


@pytest.fixture
def http_probe(world: World) -> Iterator[HttpProbe]:
    probe = HttpProbe(world)
    probe.start()
    yield probe
    probe.kill()


async def test_http_does_what_stdio_does(world: World, http_probe: HttpProbe) -> None:
    async with world.open([http_probe.spec]):
        assert (await call(world, "add", a=1, b=2)).structured == {"total": 3}
        assert (await call(world, "whoami")).structured["user"] == "ada"
        assert (await call(world, "boom")).status == "error"
        slow = asyncio.create_task(call(world, "slow", seconds=60))
        await world.until_noted("slow start")
        slow.cancel()
        await asyncio.wait([slow])
        await world.until_noted("slow cancelled CancelledError")


async def test_an_http_server_that_was_restarted_is_used_again(world: World, http_probe: HttpProbe) -> None:
    async with world.open([http_probe.spec]):
        assert (await call(world, "add", a=1, b=1)).status == "ok"
        writing = asyncio.create_task(call(world, "slow_write", text="x"))
        await world.until_noted("slow_write begins x")
        http_probe.kill()
        assert "the outcome is unknown" in (await writing).text
        await asyncio.to_thread(http_probe.start)
        async with asyncio.timeout(15):
            while (await call(world, "add", a=2, b=2)).status != "ok":
                await asyncio.sleep(0.05)
