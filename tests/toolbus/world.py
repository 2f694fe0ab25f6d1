"""A real bus with a real server, and what the tests look at."""

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from policies.engine import Effect, Rule, ToolPolicy
from runs.events import ApprovalView, RunEvent
from signalbox.identity import Chain, Principal
from tests.toolbus.servers.spec import MINT, PROBE, ROOT, probe_spec
from toolbus.audit import AuditLog
from toolbus.bus import KernelToolBus
from toolbus.catalogue import Catalogue
from toolbus.contracts import Budget, CallContext, ToolSpec
from toolbus.settings import ServerSpec, ToolBusSettings

__all__ = ["MINT", "PROBE", "QUICK", "READ_ALL", "ROOT", "WRITE_SOME", "Desk", "World", "alive"]

QUICK = ToolBusSettings(
    handshake_timeout_s=20, call_timeout_s=10, restart_backoff_s=0.05, shutdown_timeout_s=5, breaker_cool_down_s=0.5
)
WRITERS = ("probe__write", "probe__write_and_die", "probe__slow_write")
READ_ALL = Rule(id="probe.read", tools=("probe__*",), effect=Effect.PERMIT, reason="for the tests of the bus")
WRITE_SOME = Rule(id="probe.write", tools=WRITERS, effect=Effect.PERMIT, reason="for the tests of the bus")


class Desk:
    """An approval desk in memory."""

    def __init__(self) -> None:
        self.proposed: dict[str, tuple[CallContext, ToolSpec, dict[str, Any], str]] = {}

    async def propose(
        self, context: CallContext, tool: ToolSpec, arguments: dict[str, Any], preview: str
    ) -> ApprovalView:
        for known, (_, known_tool, known_arguments, _) in self.proposed.items():
            if (known_tool, known_arguments) == (tool, arguments):
                return ApprovalView(id=known, tool=tool.name, preview=preview, arguments=arguments)
        approval_id = f"appr_{len(self.proposed):024d}"
        self.proposed[approval_id] = (context, tool, arguments, preview)
        return ApprovalView(id=approval_id, tool=tool.name, preview=preview, arguments=arguments)


class World:
    """A bus, what it rests on, and what came out of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "probe.log"
        self.desk = Desk()
        self.events: list[RunEvent] = []
        self.audit_path = folder / "audit.jsonl"
        self.lock_path = folder / "tools.lock.json"
        self.bus: KernelToolBus = None  # type: ignore[assignment]

    def probe(self, **changes: Any) -> ServerSpec:
        return probe_spec(self.folder, **changes)

    @asynccontextmanager
    async def open(
        self,
        specs: Sequence[ServerSpec] | None = None,
        rules: Sequence[Rule] = (READ_ALL, WRITE_SOME),
        settings: ToolBusSettings = QUICK,
    ) -> AsyncIterator[KernelToolBus]:
        audit = self.audit = AuditLog(self.audit_path)
        self.catalogue = Catalogue(self.lock_path, settings)
        self.bus = await KernelToolBus.open(
            [self.probe()] if specs is None else specs,
            policy=ToolPolicy(rules),
            approvals=self.desk,
            audit=audit,
            catalogue=self.catalogue,
            mint=MINT,
            settings=settings,
        )
        try:
            yield self.bus
        finally:
            await self.bus.close()
            await audit.close()

    def context(self, user: str = "ada", calls: int = 100, **changes: Any) -> CallContext:
        async def emit(event: RunEvent) -> None:
            self.events.append(event)

        chain = Chain(principal=Principal(user=user, groups=frozenset({"staff"})), actors=("planner", "actions"))
        fields: dict[str, Any] = {
            "chain": chain,
            "run_id": "run_1",
            "step_id": "s1",
            "conversation_id": "conv_1",
            "budget": Budget(tool_calls=calls, tokens=0, deadline=math.inf),
            "emit": emit,
        }
        return CallContext(**{**fields, **changes})

    def noted(self) -> list[str]:
        """What the server itself says happened."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    async def until(self, condition: Callable[[], bool], seconds: float = 12) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    async def until_noted(self, text: str) -> None:
        await self.until(lambda: text in self.noted())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
