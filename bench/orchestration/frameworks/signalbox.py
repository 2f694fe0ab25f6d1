"""Signalbox, everything on: checked plan, budgets, tools on the governed bus, evidence, review, typed events, audit.

Every step asks for a tool first, at once, so that the path of model calls is that of the others: each turn makes
as many governed and audited tool calls as it has steps, which none of the others do.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from pydantic import SecretStr

import toolbus.kernel  # noqa: F401 - loaded behind the scenes otherwise, while the first turns are measured
from agents.assembly import build_turns
from agents.contracts import TurnRequest
from agents.settings import AgentsSettings
from bench.orchestration.memory import Archive, MemoryConversations, NoDesk
from bench.orchestration.model import ShapedModels
from bench.orchestration.shapes import Shape
from conversations.contracts import ConversationStore
from conversations.store import SqlConversationStore
from policies.engine import Effect, Rule, ToolPolicy
from runs.events import RunFinished
from runs.ids import new_run_id
from signalbox.database import open_engine, sqlite_url
from signalbox.identity import Principal, TokenMint
from signalbox.migrations import migrate
from signalbox.telemetry import leave_out_spans
from toolbus.audit import AuditLog, verify
from toolbus.bus import KernelToolBus
from toolbus.catalogue import Catalogue

PACKAGES = ("autogen-agentchat", "semantic-kernel", "uvloop")
PERSON = Principal(user="ada", groups=frozenset({"staff"}))
SERVERS = ("knowledge", "operations", "desk")
READ = Rule(
    id="bench.read",
    tools=tuple(f"{server}__*" for server in SERVERS),
    effect=Effect.PERMIT,
    groups=("staff",),
    reason="Staff may read.",
)


@asynccontextmanager
async def open_turn(
    shape: Shape, *, tools: bool = True, stored: bool = False
) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """The real turn runner and the real bus; the model, the archive behind the bus and its desk are the bench's."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    leave_out_spans()  # as `signalbox up` does
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        answered = 0
        audit = AuditLog(folder / "audit.jsonl")
        stack.push_async_callback(audit.close)
        bus = await KernelToolBus.open(
            [],
            policy=ToolPolicy([READ]),
            approvals=NoDesk(),
            audit=audit,
            catalogue=Catalogue(folder / "tools.lock.json"),
            mint=TokenMint(SecretStr("a master secret of thirty-two bytes")),
        )
        stack.push_async_callback(bus.close)
        for server in SERVERS:
            await bus.connect(Archive(server))
        conversations: ConversationStore = MemoryConversations()
        if stored:
            engine = open_engine(sqlite_url(folder / "bench.db"))
            stack.push_async_callback(engine.dispose)
            await migrate(engine)
            conversations = SqlConversationStore(engine)
        turns = build_turns(AgentsSettings(), ShapedModels(shape, tools=tools), bus, conversations)
        stack.push_async_callback(turns.close)

        async def turn() -> str:
            nonlocal answered
            request = TurnRequest(principal=PERSON, text="How much leave?", run_id=new_run_id(), surface="openai")
            event = None
            async for event in turns.run(request):
                if isinstance(event, RunFinished):
                    assert [step.status for step in event.result.steps] == ["ok"] * len(shape.steps)
                    assert bool(event.result.sources) is tools
                    answered += 1
                    return event.result.text
            raise RuntimeError(f"the turn did not finish: {event!r}")

        yield turn
        await audit.flush()
        seen = verify(folder / "audit.jsonl")
        assert seen.intact
        assert seen.records == answered * len(shape.steps) * tools, (seen, answered)
