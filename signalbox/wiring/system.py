"""The object graph of the running system, from the database up to the public door."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

import policies
from agents.assembly import build_turns
from conversations.outcomes import announce_in
from conversations.store import SqlConversationStore
from gateway.app import GatewayServices, build_app
from gateway.keys import ApiKeys
from gateway.limits import Admission
from gateway.metrics import Metrics
from gateway.turns import Turns
from inference.router import RoutedModels
from knowledge.embed import open_embedder
from policies.engine import ToolPolicy
from runs.approvals import Approvals
from runs.log import RunLog
from signalbox.database import open_engine, sqlite_url
from signalbox.identity import TokenMint
from signalbox.migrations import migrate
from signalbox.settings import Settings
from signalbox.wiring.actions import ApprovedActions
from signalbox.wiring.documents import BusDocuments
from signalbox.wiring.engines import build_models
from signalbox.wiring.faces import Faces
from signalbox.wiring.health import SystemHealth
from signalbox.wiring.paths import Paths
from signalbox.wiring.remotes import remote_specialists
from signalbox.wiring.secrets import master_secret
from signalbox.wiring.servers import tool_servers
from toolbus.audit import AuditLog
from toolbus.bus import KernelToolBus
from toolbus.catalogue import Catalogue


@dataclass(frozen=True)
class Foundations:
    """What the agents and the gateway are built on."""

    engine: AsyncEngine
    approvals: Approvals
    bus: KernelToolBus
    models: RoutedModels
    registry: CollectorRegistry


@dataclass(frozen=True)
class System:
    """What runs: the app to serve, and what the command line asks of it."""

    app: FastAPI
    turns: Turns
    bus: KernelToolBus
    keys: ApiKeys


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """The gateway's database, with the schema of this version."""
    url = settings.database_url.get_secret_value() if settings.database_url else None
    engine = open_engine(url or sqlite_url(Paths(settings.data_dir).database))
    try:
        await migrate(engine)
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_system(settings: Settings) -> AsyncIterator[System]:
    """Open everything in order, close it in reverse; tool servers are children of this context."""
    paths = Paths(settings.data_dir)
    mint = TokenMint(master_secret(paths.secret))
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_database(settings))
        approvals = Approvals(engine, settings.runs)
        audit = AuditLog(paths.audit)
        stack.push_async_callback(audit.close)
        # It opens its weights only when it is first asked.
        embedder = open_embedder(settings.knowledge.retrieval.embedding, settings.data_dir)
        stack.push_async_callback(embedder.close)
        bus = await KernelToolBus.open(
            [*tool_servers(settings, mint), *settings.openapi],
            policy=ToolPolicy.load(settings.policy_file or Path(policies.__file__).with_name("tools.yaml")),
            approvals=approvals,
            audit=audit,
            catalogue=Catalogue(paths.tools_lock, settings.toolbus),
            mint=mint,
            settings=settings.toolbus,
        )
        stack.push_async_callback(bus.close)
        bus.attach_embedder(embedder)
        models = build_models(settings, embedder, registry)
        stack.push_async_callback(models.close)
        await models.start()
        yield await _assemble(settings, Foundations(engine, approvals, bus, models, registry), stack)


async def _assemble(settings: Settings, base: Foundations, stack: AsyncExitStack) -> System:
    conversations = SqlConversationStore(base.engine)
    remote = await stack.enter_async_context(remote_specialists(settings.a2a))
    clock = clock_of(settings)
    runner = build_turns(settings.agents, base.models, base.bus, conversations, remote=remote, clock=clock)
    stack.push_async_callback(runner.close)
    log = RunLog(base.engine, settings.runs)
    stack.push_async_callback(log.close)
    limits = settings.gateway
    metrics = Metrics(base.registry)
    turns = Turns(runner, log, Admission(per_principal=limits.runs_per_principal, total=limits.runs_total), metrics)
    base.approvals.connect(ApprovedActions(base.bus, runner.reviewer).execute, announce_in(conversations))
    stack.push_async_callback(base.approvals.close)
    keys = ApiKeys(base.engine, cache_s=limits.key_cache_s)
    documents = BusDocuments(base.bus)
    faces = Faces(settings, turns, conversations, base.approvals, documents, base.engine)
    services = GatewayServices(
        turns=turns,
        conversations=conversations,
        approvals=base.approvals,
        keys=keys,
        knowledge=documents,
        health=SystemHealth(base.bus, base.models, settings).check,
        metrics=metrics,
    )
    app = build_app(services, limits, routes=faces.routes())
    await stack.enter_async_context(faces.running())
    await base.approvals.resume()
    return System(app=app, turns=turns, bus=base.bus, keys=keys)


def clock_of(settings: Settings) -> Callable[[], datetime]:
    """The clock of the agents: the demo's data ends on a day, and that is the demo's today."""
    if settings.demo.enabled and settings.operations.url is None:
        frozen = datetime.combine(settings.demo.today, time(9), UTC)
        return lambda: frozen
    return lambda: datetime.now(UTC)
