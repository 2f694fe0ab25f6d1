"""Conversations over the API."""

import httpx

from tests.gateway.conftest import House

CHAT = "/v1/chat/completions"


async def ask(client: httpx.AsyncClient, text: str, conversation_id: str | None = None) -> dict:
    body = {"model": "signalbox", "messages": [{"role": "user", "content": text}]}
    if conversation_id:
        body["signalbox"] = {"conversation_id": conversation_id}
    return (await client.post(CHAT, json=body)).json()["signalbox"]


async def test_a_conversation_reads_as_it_was_held(client: httpx.AsyncClient):
    first = await ask(client, "How much   leave do I have?")
    await ask(client, "And in Leeds?", first["conversation_id"])
    found = (await client.get(f"/v1/conversations/{first['conversation_id']}")).json()
    assert found["title"] == "How much leave do I have?"
    assert [(message["role"], message["content"]) for message in found["messages"]] == [
        ("user", "How much   leave do I have?"),
        ("assistant", "You have 30 days. Ask Bruno [1]."),
        ("user", "And in Leeds?"),
        ("assistant", "You have 30 days. Ask Bruno [1]."),
    ]
    assert found["messages"][1]["signalbox"] == first


async def test_conversations_come_in_pages_latest_first(client: httpx.AsyncClient):
    ids = [(await ask(client, f"Question {n}"))["conversation_id"] for n in range(5)]
    await ask(client, "Once more", ids[1])
    first = (await client.get("/v1/conversations", params={"limit": 3})).json()
    assert [item["id"] for item in first["data"]] == [ids[1], ids[4], ids[3]]
    assert first["has_more"] is True
    rest = (await client.get("/v1/conversations", params={"limit": 3, "before": ids[3]})).json()
    assert [item["id"] for item in rest["data"]] == [ids[2], ids[0]]
    assert rest["has_more"] is False


async def test_a_deleted_conversation_is_gone_with_its_runs(client: httpx.AsyncClient, house: House):
    extension = await ask(client, "Forget this")
    await house.log.flush()
    path = f"/v1/conversations/{extension['conversation_id']}"
    assert (await client.delete(path)).status_code == 200
    assert (await client.get(path)).status_code == 404
    assert (await client.get(f"/v1/runs/{extension['run_id']}/events")).status_code == 404
    assert (await client.get("/v1/conversations")).json()["data"] == []
