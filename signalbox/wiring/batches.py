"""Batches beside everything else: their lines are answered by the gateway's own endpoints."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from agents.direct_calls import DirectCalls
from agents.embedding_calls import EmbeddingCalls
from gateway.batches.api import BatchServices
from gateway.batches.load import PeopleLoad
from gateway.batches.worker import EndpointWorker, line_endpoints
from gateway.metrics import Metrics
from gateway.turns import Turns
from inference.batch.assembly import build_batches, build_runner
from signalbox.settings import Settings


@asynccontextmanager
async def batch_services(
    settings: Settings,
    engine: AsyncEngine,
    turns: Turns,
    direct: DirectCalls,
    embeddings: EmbeddingCalls,
    metrics: Metrics,
) -> AsyncIterator[BatchServices]:
    """The stores, and a runner that works while the context is open."""
    batches = build_batches(engine, settings.batch)
    endpoints = line_endpoints(turns, direct, embeddings, settings.gateway)
    load = PeopleLoad(turns)
    worker = EndpointWorker(endpoints, load, metrics, priority=settings.batch.priority)
    runner = build_runner(batches, engine, worker, load)
    services = BatchServices(
        batches.files, batches.store, frozenset(endpoints), runner.wake, settings.batch.max_file_bytes
    )
    if settings.batch.enabled:
        await runner.start()
    try:
        yield services
    finally:
        await runner.close()
