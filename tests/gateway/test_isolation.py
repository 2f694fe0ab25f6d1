"""Two people of one organisation: neither can see, stop or decide what is the other's."""

from types import SimpleNamespace

import httpx

from gateway.openai.models import ASSISTANT
from signalbox.identity import Chain
from tests.gateway.conftest import ADA, House

HI = {"model": ASSISTANT, "messages": [{"role": "user", "content": "My secret question"}]}
TOOL = SimpleNamespace(name="desk__create_ticket", pin="p1")


async def propose(house: House, conversation_id: str = "", *, title: str = "Broken chain") -> str:
    context = SimpleNamespace(
        chain=Chain(principal=ADA, actors=("planner", "actions")),
        run_id="run_1",
        step_id="s1",
        conversation_id=conversation_id,
    )
    return (await house.approvals.propose(context, TOOL, {"title": title}, "Create the ticket")).id


async def test_another_persons_things_do_not_exist(client: httpx.AsyncClient, house: House):
    extension = (await client.post("/v1/chat/completions", json=HI)).json()["signalbox"]
    conversation_id, run_id = extension["conversation_id"], extension["run_id"]
    approval_id = await propose(house, conversation_id)
    theirs = {"headers": house.headers("bruno")}

    stolen = [
        await client.get(f"/v1/conversations/{conversation_id}", **theirs),
        await client.delete(f"/v1/conversations/{conversation_id}", **theirs),
        await client.get(f"/v1/runs/{run_id}/events", **theirs),
        await client.post(f"/v1/runs/{run_id}/cancel", **theirs),
        await client.get(f"/v1/approvals/{approval_id}", **theirs),
        await client.post(f"/v1/approvals/{approval_id}", json={"decision": "approve"}, **theirs),
        await client.get(f"/v1/documents/{'d' * 32}", **theirs),
        await client.post(
            "/v1/chat/completions", json={**HI, "signalbox": {"conversation_id": conversation_id}}, **theirs
        ),
    ]
    assert [response.status_code for response in stolen] == [404] * len(stolen)
    assert "secret" not in "".join(response.text for response in stolen)
    for path in ("/v1/conversations", "/v1/approvals"):
        assert (await client.get(path, **theirs)).json()["data"] == []
        assert len((await client.get(path)).json()["data"]) == 1
    assert house.executed == []


async def test_who_may_approve_sees_and_decides_for_others_but_does_not_see_conversations(
    client: httpx.AsyncClient, house: House
):
    conversation_id = (await client.post("/v1/chat/completions", json=HI)).json()["signalbox"]["conversation_id"]
    approval_id = await propose(house, conversation_id)
    root = {"headers": house.headers("root")}
    decided = await client.post(f"/v1/approvals/{approval_id}", json={"decision": "approve"}, **root)
    assert decided.json()["state"] == "done"
    assert decided.json()["decided_by"] == "root"
    assert (await client.get(f"/v1/conversations/{conversation_id}", **root)).status_code == 404
