"""Hands out places at replicas: the preferred one when it has room, else the least loaded, else a bounded queue.

The queue is ordered by priority, then by how little the tenant has under way, then by arrival. Background work
may hold only a share of the places and of the queue, so that it never keeps a person waiting for long.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from inference.backends.replica import Replica
from inference.settings import LimitSettings
from inference.telemetry import InferenceMetrics
from signalbox.errors import BudgetSpent

_SPILL_FROM = 8
_SPILL_RATIO = 1.5


@dataclass(eq=False)
class _Waiter:
    replicas: Sequence[Replica]
    tenant: str
    priority: int
    arrival: int
    ready: "asyncio.Future[Replica]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Lease:
    """A place at one replica; released once."""

    __slots__ = ("_dispatcher", "_priority", "_tenant", "replica")

    def __init__(self, dispatcher: "Dispatcher", replica: Replica, tenant: str, priority: int) -> None:
        self._dispatcher: Dispatcher | None = dispatcher
        self.replica = replica
        self._tenant = tenant
        self._priority = priority

    def release(self) -> None:
        """Give the place back; the second time does nothing."""
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            dispatcher.released(self.replica, self._tenant, self._priority)


class Dispatcher:
    """All places at all replicas of this process."""

    def __init__(self, limits: LimitSettings, metrics: InferenceMetrics, *, queue_s: float) -> None:
        self._limits = limits
        self._metrics = metrics
        self._queue_s = queue_s
        self._waiting: list[_Waiter] = []
        self._waiting_by_tenant: Counter[str] = Counter()
        self._running_by_tenant: Counter[str] = Counter()
        self._arrivals = count()

    async def lease(self, replicas: Sequence[Replica], tenant: str, priority: int) -> Lease:
        """A place at one of `replicas` (most preferred first, all usable); raises `BudgetSpent` when there is none."""
        chosen = self._choose(replicas, priority)
        if chosen is None:
            chosen = await self._queue(replicas, tenant, priority)
        else:
            self._take(chosen, tenant, priority)
        return Lease(self, chosen, tenant, priority)

    def released(self, replica: Replica, tenant: str, priority: int) -> None:
        """A place became free; whoever waits for it next gets it."""
        replica.in_flight -= 1
        if self._background(priority):
            replica.background -= 1
        self._running_by_tenant[tenant] -= 1
        if not self._running_by_tenant[tenant]:
            del self._running_by_tenant[tenant]
        if self._waiting:
            self.wake(replica)

    def wake(self, replica: Replica) -> None:
        """Fill the free places of `replica` from the queue."""
        while True:
            fitting = [
                waiter
                for waiter in self._waiting
                if replica in waiter.replicas and not waiter.ready.done() and self._room(replica, waiter.priority)
            ]
            if not fitting or not replica.usable:
                return
            first = min(fitting, key=lambda w: (w.priority, self._running_by_tenant[w.tenant], w.arrival))
            self._take(replica, first.tenant, first.priority)
            first.ready.set_result(replica)
            self._waiting.remove(first)

    async def _queue(self, replicas: Sequence[Replica], tenant: str, priority: int) -> Replica:
        self._admit(tenant, priority)
        waiter = _Waiter(replicas, tenant, priority, next(self._arrivals))
        self._waiting.append(waiter)
        self._waiting_by_tenant[tenant] += 1
        self._metrics.queued.set(len(self._waiting))
        try:
            async with asyncio.timeout(self._queue_s):
                return await waiter.ready
        except BaseException as error:
            if waiter.ready.done() and not waiter.ready.cancelled():
                granted = waiter.ready.result()
                granted.breaker.gave_up()
                self.released(granted, tenant, priority)
            if isinstance(error, TimeoutError):
                raise self._refusal("queue_timeout", f"waited {self._queue_s:g} s for a free place") from error
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            self._waiting_by_tenant[tenant] -= 1
            if not self._waiting_by_tenant[tenant]:
                del self._waiting_by_tenant[tenant]
            self._metrics.queued.set(len(self._waiting))

    def _admit(self, tenant: str, priority: int) -> None:
        limits = self._limits
        if self._waiting_by_tenant[tenant] >= limits.max_queued_per_tenant:
            raise self._refusal("tenant_queue", f"{limits.max_queued_per_tenant} calls of this tenant wait already")
        allowed = limits.max_queued
        if self._background(priority):
            allowed = int(allowed * limits.background_share)
        if len(self._waiting) >= allowed:
            raise self._refusal("queue_full", f"{len(self._waiting)} calls wait already")

    def _refusal(self, reason: str, told: str) -> BudgetSpent:
        self._metrics.rejected.labels(reason).inc()
        after = min(30.0, max(1.0, len(self._waiting) / 16))
        return BudgetSpent(f"The models are busy: {told}.", hint=f"Try again in {after:.0f} s.", retry_after_s=after)

    def _choose(self, replicas: Sequence[Replica], priority: int) -> Replica | None:
        preferred = replicas[0]
        if len(replicas) == 1:
            return preferred if self._room(preferred, priority) else None
        free = [replica for replica in replicas if self._room(replica, priority)]
        if not free:
            return None
        if preferred in free:
            mean = sum(replica.in_flight for replica in replicas) / len(replicas)
            if preferred.in_flight < max(_SPILL_FROM, _SPILL_RATIO * mean):
                return preferred
        return min(free, key=lambda replica: replica.in_flight / replica.limit)

    def _room(self, replica: Replica, priority: int) -> bool:
        if replica.in_flight >= replica.limit:
            return False
        if not self._background(priority):
            return True
        return replica.background < max(1, int(replica.limit * self._limits.background_share))

    def _take(self, replica: Replica, tenant: str, priority: int) -> None:
        replica.breaker.enter()
        replica.in_flight += 1
        if self._background(priority):
            replica.background += 1
        self._running_by_tenant[tenant] += 1

    def _background(self, priority: int) -> bool:
        return priority >= self._limits.background_priority
