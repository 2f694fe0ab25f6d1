"""Who waits, who goes first, and who is told at once to come back later."""

import asyncio
import time

import pytest
from autogen_core.models import UserMessage
from prometheus_client import CollectorRegistry

from inference.backends.dispatch import Dispatcher
from inference.backends.replica import Replica
from inference.settings import BackendSettings, InferenceSettings, LimitSettings
from inference.telemetry import InferenceMetrics
from signalbox.errors import BudgetSpent
from tests.inference.conftest import scope_for
from tests.inference.peer import Script

ASK = [UserMessage(content="Hello?", source="user")]


def dispatcher(queue_s=5.0, places=(1,), **limits):
    metrics = InferenceMetrics(CollectorRegistry())
    replicas = [
        Replica(
            BackendSettings(name=f"r{n}", base_url="http://127.0.0.1:9", max_in_flight=count),
            InferenceSettings(),
            metrics,
        )
        for n, count in enumerate(places)
    ]
    return Dispatcher(LimitSettings(**limits), metrics, queue_s=queue_s), replicas


async def test_past_its_queue_a_tenant_is_refused_at_once_and_others_are_not(peer, make_models):
    peer.script = Script(hang="head")
    limits = {"max_in_flight_per_backend": 1, "max_queued_per_tenant": 2}
    models = make_models(base_url=peer.url, model="test-model", limits=limits)

    def call(tenant):
        return asyncio.create_task(models.client("direct", scope_for(tenant=tenant)).create(ASK))

    tasks = [call("acme") for _ in range(3)]
    await asyncio.sleep(0.05)
    started = time.perf_counter()
    with pytest.raises(BudgetSpent, match="2 calls of this tenant wait already") as caught:
        await call("acme")
    assert time.perf_counter() - started < 0.1
    assert (caught.value.retry_after_s or 0) >= 1
    other = call("other")
    await asyncio.sleep(0.05)
    assert not other.done()
    for task in (*tasks, other):
        task.cancel()
    await asyncio.gather(*tasks, other, return_exceptions=True)


async def test_the_urgent_go_first_and_tenants_take_turns():
    desk, replicas = dispatcher()
    holder = await desk.lease(replicas, "acme", 0)
    order: list[str] = []

    async def visit(name, tenant, priority):
        lease = await desk.lease(replicas, tenant, priority)
        order.append(name)
        await asyncio.sleep(0)
        lease.release()

    visits = [("batch", "acme", 10), ("chat 1", "acme", 0), ("chat 2", "acme", 0), ("other", "other", 0)]
    tasks = []
    for visit_args in visits:
        tasks.append(asyncio.create_task(visit(*visit_args)))
        await asyncio.sleep(0)
    holder.release()
    await asyncio.gather(*tasks)
    assert order == ["chat 1", "chat 2", "other", "batch"]


async def test_a_tenant_that_has_more_under_way_waits_for_those_that_have_less():
    desk, replicas = dispatcher(places=(2,))
    held = [await desk.lease(replicas, "greedy", 0), await desk.lease(replicas, "greedy", 0)]
    order: list[str] = []

    async def visit(tenant):
        lease = await desk.lease(replicas, tenant, 0)
        order.append(tenant)
        await asyncio.sleep(0)
        lease.release()

    tasks = []
    for tenant in ("greedy", "greedy", "modest"):
        tasks.append(asyncio.create_task(visit(tenant)))
        await asyncio.sleep(0)
    held[0].release()
    await asyncio.gather(*tasks)
    assert order[0] == "modest"


async def test_background_work_leaves_places_to_people():
    desk, replicas = dispatcher(places=(4,), background_share=0.5, max_queued=4)
    for _ in range(2):
        await desk.lease(replicas, "acme", 10)
    waiting = [asyncio.create_task(desk.lease(replicas, "acme", 10)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BudgetSpent, match="2 calls wait already"):
        await desk.lease(replicas, "acme", 10)
    for _ in range(2):
        await desk.lease(replicas, "acme", 0)
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_nobody_waits_longer_than_the_limit():
    desk, replicas = dispatcher(queue_s=0.05)
    await desk.lease(replicas, "acme", 0)
    with pytest.raises(BudgetSpent, match=r"waited 0.05 s for a free place"):
        await desk.lease(replicas, "acme", 0)


async def test_places_are_conserved_whatever_is_cancelled_when():
    desk, replicas = dispatcher(places=(3, 2), queue_s=0.02, max_queued=10, max_queued_per_tenant=10)
    under_way = peak = 0

    async def visit(number):
        nonlocal under_way, peak
        lease = await desk.lease(replicas, f"tenant {number % 3}", number % 2 * 10)
        under_way += 1
        peak = max(peak, under_way)
        try:
            await asyncio.sleep(0.001 * (number % 5))
        finally:
            under_way -= 1
            lease.release()
            lease.release()

    tasks = [asyncio.create_task(visit(number)) for number in range(200)]
    for number, task in enumerate(tasks):
        if number % 7 == 0:
            await asyncio.sleep(0)
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert 1 <= peak <= 5
    assert [(replica.in_flight, replica.background) for replica in replicas] == [(0, 0), (0, 0)]
    assert not desk._waiting
    assert not +desk._running_by_tenant
    assert not +desk._waiting_by_tenant
