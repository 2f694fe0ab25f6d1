"""A real bus with a remote agent on it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from a2a_bridge.settings import RemoteAgent
from a2a_bridge.source import RemoteAgentSource
from autogen_core import CancellationToken
from autogen_core.tools import ToolResult

from policies.engine import Effect, Rule
from tests.toolbus.world import QUICK, World
from toolbus.bus import KernelToolBus
from toolbus.contracts import ToolOutcome

ASK = "partner__ask"
FREELY = Rule(id="partner.ask", tools=(ASK,), effect=Effect.PERMIT, reason="for the tests of remote agents")
GENERAL = Rule(id="partner.use", tools=("partner__*",), effect=Effect.PERMIT, reason="for the tests of remote agents")
FORBIDDEN = Rule(id="partner.not", tools=(ASK,), effect=Effect.FORBID, reason="for the tests of remote agents")


class Partnership:
    """A bus on which one agent is, and calls of it as a step makes them."""

    def __init__(self, world: World, bus: KernelToolBus, source: RemoteAgentSource) -> None:
        self.world = world
        self.bus = bus
        self.source = source

    async def ask(self, task: str, token: CancellationToken | None = None, **context: Any) -> ToolOutcome:
        """One call by a step's workbench."""
        call = self.world.context(**context)
        workbench = await self.bus.workbench(call, [ASK])
        result: ToolResult = await workbench.call_tool(ASK, {"task": task}, token)
        assert call.outcomes[-1].text == result.to_text()
        return call.outcomes[-1]

    async def offered(self) -> list[str]:
        return [tool.name for tool in await self.bus.tools(self.world.context().chain)]

    async def until_offered(self, *names: str) -> None:
        async with asyncio.timeout(10):
            while await self.offered() != list(names):
                await asyncio.sleep(0.01)

    def audited(self) -> list[dict[str, Any]]:
        lines = self.world.audit_path.read_text().splitlines() if self.world.audit_path.exists() else []
        return [json.loads(line) for line in lines]

    async def until_audited(self, count: int) -> list[dict[str, Any]]:
        await self.world.until(lambda: len(self.audited()) >= count)
        return self.audited()


@asynccontextmanager
async def partners(
    world: World, url: str, rules: Sequence[Rule] = (FREELY,), *, refresh_s: float = 60, **remote: Any
) -> AsyncIterator[Partnership]:
    """The agent at `url` on a bus of its own; its card is approved by the settings unless `remote` says otherwise."""
    agent = RemoteAgent(**{"url": url, "timeout_s": 10, "auto_approve": True, **remote})
    source = RemoteAgentSource("partner", agent, QUICK, card_refresh_s=refresh_s)
    async with world.open([], rules) as bus:
        await bus.connect(source)
        yield Partnership(world, bus, source)
