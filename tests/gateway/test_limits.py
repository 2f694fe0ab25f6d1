"""What is too much is refused at once, and says when to come back."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from agents.contracts import TurnRequest
from gateway.limits import Admission, RateLimit
from gateway.settings import GatewaySettings
from runs.events import RunEvent, RunFailed
from runs.ids import new_run_id
from signalbox.errors import BudgetSpent, UpstreamDown
from tests.gateway.conftest import ADA, BRUNO, House, answer

CHAT = "/v1/chat/completions"
HI = {"model": "signalbox", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(port=0, runs_per_principal=2, runs_total=3)


async def test_runs_at_once_are_bounded_for_each_and_for_all(client: httpx.AsyncClient, house: House):
    gate = asyncio.Event()

    async def script(request: TurnRequest, conversation_id: str) -> AsyncIterator[RunEvent]:
        await gate.wait()
        async for event in answer(request, conversation_id):
            yield event

    house.agents.script = script
    running = [asyncio.create_task(client.post(CHAT, json=HI)) for _ in range(2)]
    while house.log.running < 2:
        await asyncio.sleep(0.005)
    third = await client.post(CHAT, json=HI)
    assert (third.status_code, third.headers["retry-after"]) == (429, "2")
    running.append(asyncio.create_task(client.post(CHAT, json=HI, headers=house.headers("bruno"))))
    while house.log.running < 3:
        await asyncio.sleep(0.005)
    full = await client.post(CHAT, json=HI, headers=house.headers("root"))
    assert (full.status_code, full.headers["retry-after"]) == (503, "2")
    gate.set()
    assert [(await task).status_code for task in running] == [200, 200, 200]
    assert (await client.post(CHAT, json=HI)).status_code == 200


async def test_other_surfaces_get_a_failed_run_instead_of_an_exception(house: House):
    house.turns.admission.draining = True
    request = TurnRequest(principal=ADA, text="hi", run_id=new_run_id(), surface="a2a")
    events = [event async for event in house.turns.run(request)]
    assert [(type(event), event.status) for event in events if isinstance(event, RunFailed)] == [(RunFailed, 503)]
    assert house.agents.requests == []


async def test_other_surfaces_run_through_the_same_log(house: House):
    request = TurnRequest(principal=ADA, text="hi", run_id=new_run_id(), surface="cli")
    events = [event async for event in house.turns.run(request)]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert await house.log.events(ADA, request.run_id) == events


def test_a_minute_holds_so_many_requests_of_each():
    now = 1000.0
    rate = RateLimit(6, clock=lambda: now)
    for _ in range(6):
        rate.check(ADA)
    with pytest.raises(BudgetSpent) as caught:
        rate.check(ADA)
    assert caught.value.retry_after_s == pytest.approx(10)
    rate.check(BRUNO)
    now += 10
    rate.check(ADA)
    with pytest.raises(BudgetSpent):
        rate.check(ADA)
    now += 60
    for _ in range(6):
        rate.check(ADA)


def test_a_place_is_given_back_once_it_is_left():
    admission = Admission(per_principal=1, total=1)
    leave = admission.admit(ADA)
    with pytest.raises(BudgetSpent):
        admission.admit(ADA)
    with pytest.raises(UpstreamDown):
        admission.admit(BRUNO)
    leave()
    admission.admit(BRUNO)()
    assert admission.running == 0
