"""What the governed bus costs per call, against a bare `mcp.Client` on the same kind of server in the same run.

    python bench/toolbus/cost.py [--blocks 40]

Governed: policy, schema check, budget, token, events, redaction and the fsynced audit log, all on. Blocks of 25 calls
of both alternate; the figures are the tenth percentile over the blocks, which is what is left of them on a machine
that others use too. CPU is that of this process alone; the server has its own.
"""

import argparse
import asyncio
import logging
import math
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import uvloop
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from pydantic import SecretStr

from bench.toolbus.server import server
from policies.engine import Effect, Rule, ToolPolicy
from signalbox.identity import Chain, Principal, TokenMint
from signalbox.telemetry import leave_out_spans
from signalbox.wiring.settling import settle
from toolbus.audit import AuditLog
from toolbus.bus import KernelToolBus
from toolbus.catalogue import Catalogue
from toolbus.contracts import Budget, CallContext
from toolbus.settings import ServerSpec
from toolbus.sources import DeclaredTool, OnListed, SourceCall, SourceResult

ROOT = Path(__file__).parents[2]
SERVER = str(Path(__file__).with_name("server.py"))
MINT = TokenMint(SecretStr("a master secret of thirty-two bytes"))
RULES = [
    Rule(id=f"bench.{name}", tools=(f"{name}__*",), effect=Effect.PERMIT, reason="for the measurement")
    for name in ("memory", "stdio", "http")
]
Call = Callable[[], Awaitable[Any]]
BLOCK = 25


@dataclass(frozen=True)
class Figure:
    wall_us: float
    cpu_us: float
    per_s_at_50: float


class InMemory:
    """A source without any transport, so that what is left is the bus itself."""

    name, ours, auto_approve, call_timeout_s, restarts = "memory", False, True, None, 0

    def __init__(self, client: Client) -> None:
        self._client = client

    def is_offering(self) -> bool:
        return True

    def status(self) -> str:
        return "up"

    async def start(self, on_listed: OnListed) -> None:
        tools = (await self._client.list_tools()).tools
        declared = [
            DeclaredTool(tool.name, tool.description or "", dict(tool.input_schema), read_only=True) for tool in tools
        ]
        on_listed(self, declared)

    async def call(self, call: SourceCall) -> SourceResult:
        reply = await self._client.call_tool(call.tool, call.arguments)
        return SourceResult("", reply.structured_content)

    async def close(self) -> None: ...


async def block(call: Call) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(BLOCK):
        await call()
    return (time.perf_counter() - wall) / BLOCK * 1e6, (time.process_time() - cpu) / BLOCK * 1e6


async def parallel(call: Call, calls: int) -> float:
    async def worker() -> None:
        for _ in range(max(1, calls // 50)):
            await call()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(50)))
    return 50 * max(1, calls // 50) / (time.perf_counter() - started)


def low(values: Sequence[float]) -> float:
    """The tenth percentile: what a block costs when nobody else has the core."""
    return statistics.quantiles(values, n=10)[0]


async def compare(name: str, plain: Call, ruled: Call, blocks: int) -> None:
    figures: dict[str, Figure] = {}
    calls = {"bare": plain, "governed": ruled}
    sequential: dict[str, list[tuple[float, float]]] = {"bare": [], "governed": []}
    together: dict[str, list[float]] = {"bare": [], "governed": []}
    for number in range(blocks):
        for label, call in calls.items():
            sequential[label].append(await block(call))
            if number % 4 == 0:
                together[label].append(await parallel(call, 200))
    for label, pairs in sequential.items():
        wall, cpu = zip(*pairs, strict=True)
        figures[label] = Figure(low(wall), low(cpu), max(together[label]))
        print(f"{name:8}{label:10}{low(wall):9.0f}{low(cpu):9.0f}{max(together[label]):15.0f}", flush=True)
    base, ours = figures["bare"], figures["governed"]
    more = ours.per_s_at_50 / base.per_s_at_50
    print(f"{name:8}{'adds':10}{ours.wall_us - base.wall_us:9.0f}{ours.cpu_us - base.cpu_us:9.0f}{more:14.2f}×")


@asynccontextmanager
async def http_server() -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, SERVER, str(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            await asyncio.sleep(0.05)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        await process.wait()


class NoDesk:
    async def propose(self, *_: Any) -> Any:
        raise NotImplementedError


async def nowhere(_event: Any) -> None: ...


def governed(bus: KernelToolBus, server_name: str) -> Callable[[], Awaitable[Call]]:
    async def make() -> Call:
        context = CallContext(
            chain=Chain(principal=Principal(user="ada", groups=frozenset({"staff"})), actors=("planner", "data")),
            run_id="run_bench",
            step_id="s1",
            conversation_id="",
            budget=Budget(tool_calls=10**9, tokens=0, deadline=math.inf),
            emit=nowhere,
        )
        workbench = await bus.workbench(context, [f"{server_name}__*"])

        async def call() -> None:
            result = await workbench.call_tool(f"{server_name}__add", {"a": 1, "b": 2})
            assert not result.is_error, result
            context.outcomes.clear()

        return call

    return make


def bare(client: Client) -> Call:
    async def call() -> None:
        assert (await client.call_tool("add", {"a": 1, "b": 2}, 30)).structured_content == {"total": 3}

    return call


async def main(blocks: int) -> None:
    stdio = {"command": sys.executable, "args": [SERVER]}
    ours: dict[str, Any] = {"ours": True, "auto_approve": True}
    with tempfile.TemporaryDirectory() as folder:
        audit = AuditLog(Path(folder) / "audit.jsonl")
        async with (
            http_server() as url,
            Client(server) as memory,
            Client(StdioServerParameters(**stdio, cwd=str(ROOT))) as piped,
            Client(url) as web,
        ):
            bus = await KernelToolBus.open(
                [
                    ServerSpec(name="stdio", **stdio, cwd=str(ROOT), audience="stdio", **ours),
                    ServerSpec(name="http", transport="http", url=url, audience="http", **ours),
                ],
                policy=ToolPolicy(RULES),
                approvals=NoDesk(),
                audit=audit,
                catalogue=Catalogue(Path(folder) / "tools.lock.json"),
                mint=MINT,
            )
            await bus.connect(InMemory(memory))
            await settle(bus)  # as `signalbox up` does; it helps both
            clients = {"memory": memory, "stdio": piped, "http": web}
            print(f"{'':8}{'':10}{'µs wall':>9}{'µs CPU':>9}{'calls/s at 50':>15}")
            for name, client in clients.items():
                await compare(name, bare(client), await governed(bus, name)(), blocks)
            await bus.close()
        await audit.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=40)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    leave_out_spans()
    uvloop.run(main(options.blocks))
