"""Decisions over the API, and what the conversation says afterwards."""

import asyncio

import httpx

from tests.gateway.conftest import House
from tests.gateway.test_isolation import HI, propose


async def conversation(client: httpx.AsyncClient) -> str:
    return (await client.post("/v1/chat/completions", json=HI)).json()["signalbox"]["conversation_id"]


async def last_message(client: httpx.AsyncClient, conversation_id: str) -> str:
    return (await client.get(f"/v1/conversations/{conversation_id}")).json()["messages"][-1]["content"]


async def test_an_approved_call_is_carried_out_and_told(client: httpx.AsyncClient, house: House):
    conversation_id = await conversation(client)
    approval_id = await propose(house, conversation_id)
    shown = (await client.get(f"/v1/approvals/{approval_id}")).json()
    assert (shown["state"], shown["arguments"], shown["actors"]) == (
        "pending",
        {"title": "Broken chain"},
        ["planner", "actions"],
    )
    assert not {"binding", "chain", "pin", "tenant"} & set(shown)
    answer = await client.post(f"/v1/approvals/{approval_id}", json={"decision": "approve"})
    assert (answer.json()["state"], answer.json()["outcome"]) == ("done", "Ticket T-1 was made.")
    assert [approval.id for approval in house.executed] == [approval_id]
    assert await last_message(client, conversation_id) == "Ticket T-1 was made."


async def test_a_denied_call_is_told_and_never_made(client: httpx.AsyncClient, house: House):
    conversation_id = await conversation(client)
    approval_id = await propose(house, conversation_id)
    answer = await client.post(f"/v1/approvals/{approval_id}", json={"decision": "deny", "reason": "Too early."})
    assert answer.json()["state"] == "denied"
    assert house.executed == []
    assert await last_message(client, conversation_id) == (
        "The action was not carried out: ada declined it. Reason: Too early."
    )


async def test_of_many_decisions_one_counts(client: httpx.AsyncClient, house: House):
    approval_id = await propose(house, await conversation(client))
    answers = await asyncio.gather(
        *(
            client.post(f"/v1/approvals/{approval_id}", json={"decision": decision})
            for decision in ["approve", "deny"] * 8
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 15
    assert len(house.executed) <= 1
    listed = (await client.get("/v1/approvals", params={"state": "pending"})).json()
    assert listed["data"] == []


async def test_a_deleted_conversation_takes_its_approvals_along(client: httpx.AsyncClient, house: House):
    conversation_id = await conversation(client)
    approval_id = await propose(house, conversation_id)
    assert (await client.delete(f"/v1/conversations/{conversation_id}")).json()["deleted"] is True
    assert (await client.get(f"/v1/approvals/{approval_id}")).status_code == 404
