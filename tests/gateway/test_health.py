"""Alive, ready, counted."""

import httpx
import pytest

from gateway.health import NOT_NEEDED
from gateway.settings import GatewaySettings
from tests.gateway.conftest import House

HI = {"model": "signalbox", "messages": [{"role": "user", "content": "hi"}]}


async def test_health_needs_no_key(client: httpx.AsyncClient):
    client.headers.pop("authorization")
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "dependencies": {"database": {"state": "up"}}},
    )


async def test_a_dependency_that_is_down_is_named_with_its_fix(client: httpx.AsyncClient, house: House):
    house.health["desk"] = {"state": "not answering", "fix": "Restart it."}
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["dependencies"]["desk"] == {"state": "not answering", "fix": "Restart it."}


async def test_another_organisations_agent_that_is_down_is_named_and_keeps_nobody_out(
    client: httpx.AsyncClient, house: House
):
    house.health["partner"] = {"state": "does not show its card", "fix": "Check a2a.agents."} | NOT_NEEDED
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["dependencies"]["partner"]["state"] == "does not show its card"


async def test_while_shutting_down_it_is_alive_but_not_ready(client: httpx.AsyncClient, house: House):
    house.turns.admission.draining = True
    assert (await client.get("/healthz")).status_code == 200
    assert (await client.get("/readyz")).json()["status"] == "shutting down"
    refused = await client.post("/v1/chat/completions", json=HI)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


async def test_metrics_are_for_administrators(client: httpx.AsyncClient, house: House):
    await client.post("/v1/chat/completions", json=HI)
    await client.get("/v1/conversations/conv_of_nobody")
    assert (await client.get("/metrics")).status_code == 403
    text = (await client.get("/metrics", headers=house.headers("root"))).text
    assert 'signalbox_turns_total{end="finished",model="signalbox"} 1.0' in text
    assert 'signalbox_tokens_total{kind="prompt"} 11.0' in text
    assert "signalbox_runs_running 0.0" in text
    assert 'signalbox_http_requests_total{method="POST",route="/v1/chat/completions",status="200"} 1.0' in text
    assert 'route="/v1/conversations/{conversation_id}",status="404"' in text


class TestLoopback:
    @pytest.fixture
    def settings(self) -> GatewaySettings:
        return GatewaySettings(port=0, metrics_from_loopback=True)

    async def test_metrics_are_open_to_loopback_where_settings_say_so(self, client: httpx.AsyncClient, house: House):
        client.headers.pop("authorization")
        assert (await client.get("/metrics")).status_code == 200
        elsewhere = httpx.ASGITransport(house.app, client=("10.0.0.9", 1))
        async with httpx.AsyncClient(transport=elsewhere, base_url="http://gateway") as stranger:
            assert (await stranger.get("/metrics")).status_code == 401
