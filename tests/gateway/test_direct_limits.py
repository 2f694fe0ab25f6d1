"""Bare models that are down, full, dear, or shut down under a stream: said at once, with when to come back."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from gateway.settings import GatewaySettings
from tests.gateway.conftest import Bare, House, served
from tests.inference.peer import Peer, Script
from tests.toolbus.full_disk import LARGE, full_disk

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Hello?"}]
PRICE = {"input_per_million": 2, "output_per_million": 10}


@pytest.fixture
def limits() -> dict[str, Any]:
    return {}


@pytest.fixture
def inference(peer: Peer, limits: dict[str, Any]) -> dict[str, Any]:
    return {"base_url": peer.url, "model": "test-model", "price": PRICE, "limits": limits, "retries": {"backoff_s": 0}}


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(port=0, keepalive_s=0.1, shutdown_grace_s=0.1, calls_per_principal=3, calls_total=4)


async def ask(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await client.post(CHAT, json={"model": "direct", "messages": MESSAGES, **more}, timeout=8)


async def until(peer: Peer, requests: int) -> None:
    async with asyncio.timeout(5):
        while len(peer.requests) < requests:
            await asyncio.sleep(0.005)


async def left(*tasks: asyncio.Task[httpx.Response]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("streamed", [False, True])
async def test_when_every_backend_is_down_it_is_said_at_once_with_when_to_come_back(client, peer, bare: Bare, streamed):
    await peer.stop()
    answer = await ask(client, stream=streamed)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "connection refused" in answer.json()["error"]["message"]
    assert [(record["outcome"], record["error"]) for record in await bare.records()] == [("failed", "upstream_down")]


async def test_no_model_is_asked_while_no_record_of_it_can_be_kept(client, peer, bare: Bare):
    bare.audit.append(LARGE)
    await bare.audit.flush()
    with full_disk(bare.audit_file):
        bare.audit.append({"event": "test", "text": "x" * 9_000_000})  # as much as may wait in memory
        while bare.audit.status() == "up":
            await asyncio.sleep(0.01)
        refused = await ask(client)
        vectors = await client.post("/v1/embeddings", json={"model": "embedding", "input": "Hello"})
    assert (refused.status_code, vectors.status_code) == (503, 503)
    assert "nothing may happen unrecorded" in refused.json()["error"]["message"]
    assert peer.requests == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_backend_that_rests_after_failures_is_not_asked(client, peer, streamed):
    peer.script = Script(status=500)
    for _ in range(5):
        assert (await ask(client, stream=streamed)).status_code == 503
    asked = len(peer.requests)
    answer = await ask(client, stream=streamed)
    assert (answer.status_code, answer.headers["retry-after"], len(peer.requests)) == (503, "10", asked)
    assert "resting after failures" in answer.json()["error"]["message"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_past_what_all_may_ask_together_a_call_is_refused_with_503(client, house: House, peer, streamed):
    peer.script = Script(hang="head")
    waiting = [asyncio.create_task(ask(client)) for _ in range(3)]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(house.app), base_url="http://gateway", headers=house.headers("bruno")
    ) as bruno:
        waiting.append(asyncio.create_task(ask(bruno)))
        await until(peer, 4)
        answer = await ask(bruno, stream=streamed)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    await left(*waiting)


@pytest.mark.parametrize("limits", [{"max_in_flight_per_backend": 1, "max_queued_per_tenant": 1}])
async def test_past_the_queue_of_a_tenant_a_call_is_refused_and_who_waited_is_served(client, peer, limits):
    peer.script = lambda body: Script(head_s=0.5 if body.get("seed") == 1 else 0)
    first = asyncio.create_task(ask(client, seed=1))
    await until(peer, 1)
    second = asyncio.create_task(ask(client, seed=2))
    await asyncio.sleep(0.1)
    third = await ask(client, seed=3)
    assert third.status_code == 429
    assert int(third.headers["retry-after"]) >= 1
    assert "of this tenant wait already" in third.json()["error"]["message"]
    assert [(await task).status_code for task in (first, second)] == [200, 200]
    assert [request.body["seed"] for request in peer.requests] == [1, 2]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_shutdown_gives_a_call_in_progress_a_clear_end_and_an_audit_record(house: House, bare, peer, streamed):
    peer.script = Script(pieces=("One. ", "Two. "), hang="middle" if streamed else "head")
    async with (
        served(house) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=house.headers("ada")) as client,
    ):
        asking = asyncio.create_task(ask(client, stream=streamed))
        await until(peer, 1)
        await asyncio.sleep(0.1)
        server.should_exit = True
        answer = await asking
    assert answer.status_code == 200
    if streamed:
        *chunks, done, _ = answer.text.split("\n\n")
        assert done == "data: [DONE]"
        assert "One. " in answer.text
        last = json.loads(chunks[-1].removeprefix("data: "))
    else:
        last = answer.json()
    assert last["choices"][0]["finish_reason"] == "stop"
    assert (last["signalbox"]["cancelled"], last["signalbox"]["reason"]) == (True, "the server is shutting down")
    assert [record["outcome"] for record in await bare.records()] == ["cancelled"]
    assert peer.disconnects == 1


@pytest.mark.parametrize("money", [0.0015])  # 150 tokens at most
@pytest.mark.parametrize(
    ("asked", "limit"),
    [
        ({}, "max_tokens"),
        ({"max_tokens": 9000}, "max_tokens"),
        ({"max_completion_tokens": 9000}, "max_completion_tokens"),
    ],
)
async def test_an_answer_is_bounded_by_what_one_call_may_cost(client, peer, money, asked, limit):
    assert (await ask(client, **asked)).status_code == 200
    sent = peer.requests[-1].body
    assert {name for name in sent if name.startswith("max_")} == {limit}
    assert 100 < sent[limit] < 150


@pytest.mark.parametrize("money", [0.0015])
async def test_a_lower_limit_of_the_caller_stays_and_a_prompt_that_costs_too_much_is_refused(client, peer, money):
    assert (await ask(client, max_tokens=20)).status_code == 200
    assert peer.requests[-1].body["max_tokens"] == 20
    answer = await ask(client, messages=[{"role": "user", "content": "word " * 1000}])
    assert answer.status_code == 413
    assert answer.json()["error"]["message"].startswith("The request would cost more than one call may.")
    assert len(peer.requests) == 1


async def test_without_a_limit_of_money_nothing_is_added(client, peer):
    assert (await ask(client)).status_code == 200
    assert not {name for name in peer.requests[-1].body if name.startswith("max_")}


async def test_a_stream_whose_client_is_gone_before_its_first_byte_gives_its_place_back(house: House):
    body = json.dumps({"model": "direct", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    headers = [(name.encode(), value.encode()) for name, value in house.headers("ada").items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"", "headers": headers}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_message: object) -> None:
        raise ConnectionResetError("its client is gone")

    with pytest.raises(ConnectionError):
        await house.app({**scope, "root_path": ""}, receive, send)
    assert house.turns.calls.admission.running == 0
