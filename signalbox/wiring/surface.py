"""What stands on the foundations: agents, gateway and the other faces, put together."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, time

from fastapi import FastAPI

from agents.assembly import CrewBuilder
from agents.direct_audit import CallAudit
from agents.direct_calls import DirectCalls
from agents.embedding_calls import EmbeddingCalls
from agents.review.guard import GuardJudge
from agents.stop_audit import StopAudit
from agents.turns import Turns as TurnsOfAgents
from conversations.outcomes import announce_in
from conversations.store import SqlConversationStore
from gateway.app import GatewayServices, build_app
from gateway.calls import LiveCalls
from gateway.keys import ApiKeys
from gateway.limits import Admission
from gateway.metrics import Metrics
from gateway.turns import Turns
from runs.log import RunLog
from signalbox.settings import Settings
from signalbox.wiring.actions import ApprovedActions
from signalbox.wiring.added import server_specialists
from signalbox.wiring.batches import batch_services
from signalbox.wiring.documents import BusDocuments
from signalbox.wiring.faces import Faces
from signalbox.wiring.foundations import Foundations
from signalbox.wiring.health import SystemHealth
from signalbox.wiring.releases import Releases
from signalbox.wiring.remotes import connect_agents, remote_specialists
from toolbus.bus import KernelToolBus
from toolbus.catalogue import Catalogue


@dataclass(frozen=True)
class System:
    """What runs: the app to serve, and what the command line asks of it."""

    app: FastAPI
    turns: Turns
    bus: KernelToolBus
    keys: ApiKeys
    conversations: SqlConversationStore
    releases: Releases
    catalogue: Catalogue


async def assemble(settings: Settings, base: Foundations, stack: AsyncExitStack) -> System:
    """Build it all; what must be closed is left on the stack."""
    conversations = SqlConversationStore(base.engine)
    remote = remote_specialists(settings, base.catalogue)
    await connect_agents(settings, base.bus)
    clock = clock_of(settings)
    servers = server_specialists(settings, base.added, base.catalogue)
    guard = settings.agents.review.guard
    judge = GuardJudge(base.engines.models.classifier(guard.model), guard) if guard else None
    crews = CrewBuilder(base.bus, remote=[*remote, *servers], judge=judge, embedder=base.embedder)
    releases = Releases(settings, crews, base.engines, base.policy)
    await releases.open()
    runner = TurnsOfAgents(conversations, releases, settings.agents, clock=clock, stops=StopAudit(base.audit))
    stack.push_async_callback(runner.close)
    log = RunLog(base.engine, settings.runs)
    stack.push_async_callback(log.close)
    limits = settings.gateway
    metrics = Metrics(base.registry)
    calls = LiveCalls(Admission(per_principal=limits.calls_per_principal, total=limits.calls_total), metrics)
    admission = Admission(per_principal=limits.runs_per_principal, total=limits.runs_total)
    turns = Turns(runner, log, admission, metrics, calls=calls)
    base.approvals.connect(ApprovedActions(base.bus, runner.reviewer).execute, announce_in(conversations))
    stack.push_async_callback(base.approvals.close)
    keys = ApiKeys(base.engine, cache_s=limits.key_cache_s)
    documents = BusDocuments(base.bus)
    faces = Faces(settings, turns, conversations, base.approvals, documents, base.engine)
    audit = CallAudit(base.audit)
    direct = DirectCalls(releases, audit, settings.agents)
    embeddings = EmbeddingCalls(base.engines.vectors, audit, settings.agents)
    services = GatewayServices(
        turns=turns,
        direct=direct,
        embeddings=embeddings,
        conversations=conversations,
        approvals=base.approvals,
        keys=keys,
        knowledge=documents,
        health=SystemHealth(base.bus, base.engines.models, settings, base.audit, base.catalogue).check,
        metrics=metrics,
        batches=await stack.enter_async_context(
            batch_services(settings, base.engine, turns, direct, embeddings, metrics)
        ),
    )
    app = build_app(services, limits, routes=faces.routes())
    await stack.enter_async_context(faces.running())
    await base.approvals.resume()
    return System(app, turns, base.bus, keys, conversations, releases, base.catalogue)


def clock_of(settings: Settings) -> Callable[[], datetime]:
    """The clock of the agents: the demo's data ends on a day, and that is the demo's today."""
    if settings.demo.enabled and settings.operations.url is None:
        frozen = datetime.combine(settings.demo.today, time(9), UTC)
        return lambda: frozen
    return lambda: datetime.now(UTC)
