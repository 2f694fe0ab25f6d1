"""The same turn by ours, by asyncio alone, and by AutoGen's GraphFlow: a plan, three steps in parallel, one answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow
from autogen_core.models import UserMessage

from agents.assembly import build_turns
from agents.contracts import Plan, Step, TurnRequest
from agents.settings import AgentsSettings
from bench.orchestration.model import SPECIALISTS, FixedClient, FixedModels
from conversations.store import SqlConversationStore
from runs.events import RunFinished
from runs.ids import new_run_id
from signalbox.database import open_engine, sqlite_url
from signalbox.identity import Principal
from signalbox.migrations import migrate
from tests.agents.memory import MemoryBus, MemoryConversations
from tests.agents.scripted import evidence

Turn = Callable[[], Awaitable[None]]
PERSON = Principal(user="ada")
PLAN = Plan(steps=[Step(id=name, specialist=name, task=f"{name}: leave") for name in SPECIALISTS]).model_dump_json()


@asynccontextmanager
async def asyncio_alone(models: FixedModels) -> AsyncIterator[Turn]:
    """The model calls and nothing else: what no orchestrator can be faster than."""
    client = FixedClient(models)

    async def one() -> None:
        async for _ in client.create_stream([UserMessage(content="q", source="user")]):
            pass

    async def turn() -> None:
        await one()
        await asyncio.gather(*(one() for _ in SPECIALISTS))
        await one()

    yield turn


@asynccontextmanager
async def graphflow(models: FixedModels) -> AsyncIterator[Turn]:
    """AutoGen's own graph of agents, bare: no store, no review, no events."""

    def agent(name: str) -> AssistantAgent:
        return AssistantAgent(name, FixedClient(models), model_client_stream=True, system_message="s")

    async def turn() -> None:
        planner, synthesiser = agent("planner"), agent("synthesiser")
        workers = [agent(name) for name in SPECIALISTS]
        graph = DiGraphBuilder()
        for each in (planner, *workers, synthesiser):
            graph.add_node(each)
        for worker in workers:
            graph.add_edge(planner, worker).add_edge(worker, synthesiser)
        flow = GraphFlow(participants=graph.get_participants(), graph=graph.build())
        async for _ in flow.run_stream(task="q"):
            pass

    yield turn


@asynccontextmanager
async def ours(models: FixedModels, *, tools: bool = False, stored: bool = True) -> AsyncIterator[Turn]:
    """Signalbox: checked plan, steps with budgets, evidence, review of every sentence; with `stored` two commits."""
    found = evidence("1a2b3c4d", "Leave is 25 days a year. It may be carried over until the end of March.")
    names = {"knowledge__search": lambda _: found, "operations__query": lambda _: found} if tools else {}
    with TemporaryDirectory() as folder:
        engine = open_engine(sqlite_url(Path(folder) / "bench.db"))
        await migrate(engine)
        store = SqlConversationStore(engine) if stored else MemoryConversations()
        turns = build_turns(AgentsSettings(), models, MemoryBus(**names), store)

        async def turn() -> None:
            request = TurnRequest(principal=PERSON, text="How much leave?", run_id=new_run_id(), surface="openai")
            async for event in turns.run(request):
                if isinstance(event, RunFinished):
                    return
            raise RuntimeError("the turn did not finish")

        try:
            yield turn
        finally:
            await turns.close()
            await engine.dispose()
