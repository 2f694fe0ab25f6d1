"""What everything stands on: the database, the tool bus with its server processes, the models."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

import policies
from inference.router import RoutedModels
from knowledge.embed import open_embedder
from policies.engine import ToolPolicy
from runs.approvals import Approvals
from signalbox.database import open_engine, sqlite_url
from signalbox.identity import TokenMint
from signalbox.migrations import migrate
from signalbox.settings import Settings
from signalbox.wiring.engines import build_models
from signalbox.wiring.paths import Paths
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


async def open_foundations(settings: Settings, stack: AsyncExitStack) -> Foundations:
    """Open them in order; the stack closes them in reverse, the server processes with them."""
    paths = Paths(settings.data_dir)
    mint = TokenMint(master_secret(paths.secret))
    registry = CollectorRegistry()
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
    return Foundations(engine, approvals, bus, models, registry)
