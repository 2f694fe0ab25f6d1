"""What everything stands on: the database, the tool bus with its server processes, the models."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

import policies
from knowledge.contracts import Embedder
from knowledge.embed import open_embedder
from policies.engine import ToolPolicy
from policies.switch import PolicySwitch
from runs.approvals import Approvals
from runs.events import BUILT_IN
from signalbox.database import open_engine, sqlite_url
from signalbox.identity import TokenMint
from signalbox.migrations import migrate
from signalbox.settings import Settings
from signalbox.wiring.engines import Engines
from signalbox.wiring.paths import Paths
from signalbox.wiring.secrets import master_secret
from signalbox.wiring.servers import added_sources, tool_servers
from toolbus.audit import AuditLog
from toolbus.bus import KernelToolBus
from toolbus.catalogue import Catalogue


@dataclass(frozen=True)
class Foundations:
    """What the agents and the gateway are built on."""

    engine: AsyncEngine
    approvals: Approvals
    bus: KernelToolBus
    audit: AuditLog
    engines: Engines
    policy: PolicySwitch
    catalogue: Catalogue
    registry: CollectorRegistry
    embedder: Embedder
    added: tuple[str, ...]
    """The names of the tool servers and services that are not built in."""


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


def policy_file(settings: Settings) -> Path:
    """The rules of a system without releases."""
    return settings.policy_file or Path(policies.__file__).with_name("tools.yaml")


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
    policy = PolicySwitch(BUILT_IN, ToolPolicy.load(policy_file(settings)))
    catalogue = Catalogue(paths.tools_lock, settings.toolbus)
    bus = await KernelToolBus.open(
        [*tool_servers(settings, mint), *settings.openapi],
        policy=policy,
        approvals=approvals,
        audit=audit,
        catalogue=catalogue,
        mint=mint,
        settings=settings.toolbus,
    )
    stack.push_async_callback(bus.close)
    bus.attach_embedder(embedder)
    engines = Engines(settings, embedder, registry)
    stack.push_async_callback(engines.models.close)
    await engines.models.start()
    added = tuple(spec.name for spec in added_sources(settings, mint))
    return Foundations(engine, approvals, bus, audit, engines, policy, catalogue, registry, embedder, added)
