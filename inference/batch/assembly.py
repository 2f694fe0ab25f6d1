"""Puts the parts together; what wiring calls."""

import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from inference.batch.contracts import LineWorker, Load
from inference.batch.files import FileStore
from inference.batch.job import Tools
from inference.batch.runner import BatchRunner, utc_now
from inference.batch.settings import BatchSettings
from inference.batch.slots import IdleSlots
from inference.batch.store import BatchStore
from inference.batch.work import WorkStore


@dataclass(frozen=True)
class Batches:
    """What owners do to files and batches."""

    files: FileStore
    store: BatchStore
    settings: BatchSettings


def build_batches(engine: AsyncEngine, settings: BatchSettings, *, clock: Callable[[], datetime] = utc_now) -> Batches:
    """The stores; they work without a runner."""
    return Batches(FileStore(engine, settings), BatchStore(engine, settings, clock=clock), settings)


def build_runner(
    batches: Batches,
    engine: AsyncEngine,
    worker: LineWorker,
    load: Load,
    *,
    clock: Callable[[], datetime] = utc_now,
) -> BatchRunner:
    """The runner of this process."""
    settings = batches.settings
    holder = f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(6)}"
    work = WorkStore(engine, settings, holder, clock=clock)
    tools = Tools(work, batches.files, worker, IdleSlots(load, settings), settings, clock)

    async def prune() -> None:
        await batches.files.prune()
        await batches.store.prune()

    return BatchRunner(tools, work, prune=prune)
