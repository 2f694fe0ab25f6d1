"""Our agent, spoken to with the SDK's own client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.helpers import get_data_parts, get_stream_response_text, new_text_message
from a2a.types import CancelTaskRequest, GetTaskRequest, Role, SendMessageRequest, StreamResponse, TaskState
from a2a.utils.errors import TaskNotFoundError

from tests.a2a_bridge.conftest import Served

pytestmark = pytest.mark.timeout(30)


@contextlib.asynccontextmanager
async def connected(served: Served, user: str = "ada", binding: str = "JSONRPC") -> AsyncIterator[Client]:
    async with httpx.AsyncClient(timeout=20, headers={"Authorization": f"Bearer {user}"}) as http:
        card = await A2ACardResolver(http, served.url).get_agent_card()
        yield ClientFactory(ClientConfig(httpx_client=http, supported_protocol_bindings=[binding])).create(card)


def say(text: str, **more: str) -> SendMessageRequest:
    return SendMessageRequest(message=new_text_message(text, role=Role.ROLE_USER, **more))


def final_state(events: list[StreamResponse]) -> int:
    return next(event.status_update.status.state for event in reversed(events) if event.HasField("status_update"))


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_a_message_streams_an_answer_and_leaves_its_record(served: Served, binding: str) -> None:
    async with connected(served, binding=binding) as client:
        events = [event async for event in client.send_message(say("how many"))]
        task = await client.get_task(GetTaskRequest(id=events[0].task.id))
    assert "".join(get_stream_response_text(event) or "" for event in events) == "Two days. Ask your manager."
    assert final_state(events) == TaskState.TASK_STATE_COMPLETED
    record = get_data_parts(next(artifact for artifact in task.artifacts if artifact.name == "record").parts)
    assert record[0]["engine"] == "scripted"
    assert served.turns.asked[0].principal.user == "ada"
    assert served.turns.asked[0].surface == "a2a"


async def test_messages_of_one_context_are_one_conversation(served: Served) -> None:
    async with connected(served) as client:
        first = [event async for event in client.send_message(say("one"))]
        context = first[0].task.context_id
        [event async for event in client.send_message(say("two", context_id=context))]
    assert len({request.conversation_id for request in served.turns.asked}) == 1


async def test_a_failed_run_is_a_failed_task_with_its_reason(served: Served) -> None:
    async with connected(served) as client:
        events = [event async for event in client.send_message(say("fail now"))]
    assert final_state(events) == TaskState.TASK_STATE_FAILED
    assert "The model is not there." in str(events[-1].status_update.status.message)


async def test_cancelling_a_task_stops_its_run(served: Served) -> None:
    async with connected(served) as client:
        stream = client.send_message(say("slow one"))
        first = await anext(stream)
        await asyncio.sleep(0.3)
        cancelled = await client.cancel_task(CancelTaskRequest(id=first.task.id))
        await asyncio.wait_for(served.turns.stopped.wait(), 5)
        await stream.aclose()
    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED


@pytest.mark.parametrize(("word", "approved"), [("yes", True), ("deny", False)])
async def test_an_approval_is_decided_by_the_next_message_of_its_task(
    served: Served, word: str, approved: bool
) -> None:
    async with connected(served) as client:
        events = [event async for event in client.send_message(say("act please"))]
        task = events[0].task
        assert final_state(events) == TaskState.TASK_STATE_INPUT_REQUIRED
        unclear = [event async for event in client.send_message(say("hm", task_id=task.id, context_id=task.context_id))]
        assert final_state(unclear) == TaskState.TASK_STATE_INPUT_REQUIRED
        after = [event async for event in client.send_message(say(word, task_id=task.id, context_id=task.context_id))]
    assert final_state(after) == TaskState.TASK_STATE_COMPLETED
    assert served.decisions.made == [("appr_1", approved)]


async def test_what_a_cancelled_task_proposed_is_declined(served: Served) -> None:
    async with connected(served) as client:
        events = [event async for event in client.send_message(say("act please"))]
        cancelled = await client.cancel_task(CancelTaskRequest(id=events[0].task.id))
    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
    assert served.decisions.made == [("appr_1", False)]


async def test_anothers_task_is_not_found(served: Served) -> None:
    async with connected(served, "ada") as ada, connected(served, "bruno") as bruno:
        events = [event async for event in ada.send_message(say("mine"))]
        with pytest.raises((A2AClientError, TaskNotFoundError), match=r"(?i)not ?found"):
            await bruno.get_task(GetTaskRequest(id=events[0].task.id))


async def test_a_body_that_is_not_json_is_refused(served: Served) -> None:
    async with httpx.AsyncClient(timeout=10) as http:
        reply = await http.post(f"{served.url}/a2a/jsonrpc", content=b"<x/>", headers={"content-type": "text/xml"})
    assert reply.status_code == 415
