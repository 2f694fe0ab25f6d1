"""Batches with the real OpenAI client against a real server; only the agents are scripted."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from agents.contracts import TurnRequest
from inference.batch.settings import BatchSettings
from runs.events import AnswerSegment, RunEvent, RunFailed, RunFinished, RunResult
from tests.gateway.conftest import House, answer

CHAT = "/v1/chat/completions"


@pytest.fixture
async def other(url: str, house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=house.tokens["bruno"], max_retries=0) as client:
        yield client


def line(custom_id: str, text: str = "How much leave?", **body: Any) -> dict[str, Any]:
    asked = {"model": "signalbox", "messages": [{"role": "user", "content": text}], **body}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": asked}


def jsonl(*lines: dict[str, Any]) -> bytes:
    return b"\n".join(json.dumps(item).encode() for item in lines)


async def upload(sdk: openai.AsyncOpenAI, *lines: dict[str, Any]) -> str:
    return (await sdk.files.create(file=("in.jsonl", jsonl(*lines)), purpose="batch")).id


async def begin(sdk: openai.AsyncOpenAI, *lines: dict[str, Any]):
    file_id = await upload(sdk, *lines)
    return await sdk.batches.create(input_file_id=file_id, endpoint=CHAT, completion_window="24h")


async def until(sdk: openai.AsyncOpenAI, batch_id: str, *states: str):
    while (found := await sdk.batches.retrieve(batch_id)).status not in states:
        await asyncio.sleep(0.02)
    return found


async def results(sdk: openai.AsyncOpenAI, file_id: str) -> dict[str, dict[str, Any]]:
    text = (await sdk.files.content(file_id)).text
    return {item["custom_id"]: item for item in map(json.loads, text.splitlines())}


async def hang(request: TurnRequest, conversation_id: str) -> AsyncIterator[RunEvent]:
    if "wait" in request.text:
        await asyncio.Event().wait()
    async for event in answer(request, conversation_id):
        yield event


async def test_a_file_is_uploaded_listed_read_and_deleted(sdk):
    content = jsonl(line("a"), line("b"))
    made = await sdk.files.create(file=("my/dir/in.jsonl", content), purpose="batch")
    assert (made.filename, made.bytes, made.purpose) == ("in.jsonl", len(content), "batch")
    again = await sdk.files.create(file=("second.jsonl", content), purpose="batch")
    assert [item.id async for item in sdk.files.list(limit=1)] == [again.id, made.id], "the client follows the pages"
    assert (await sdk.files.content(made.id)).content == content
    assert (await sdk.files.retrieve(made.id)) == made
    assert (await sdk.files.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await sdk.files.content(made.id)


async def test_every_line_is_answered_as_the_endpoint_answers_and_in_order(sdk, house):
    made = await begin(sdk, *(line(f"q{n}", f"Question {n}?") for n in range(20)))
    assert made.status == "validating"
    done = await until(sdk, made.id, "completed", "failed")
    assert (done.status, done.request_counts.model_dump()) == (
        "completed",
        {"total": 20, "completed": 20, "failed": 0},
    )
    assert done.error_file_id is None
    assert done.created_at <= done.in_progress_at <= done.completed_at <= done.expires_at
    text = (await sdk.files.content(done.output_file_id)).text
    found = [json.loads(item) for item in text.splitlines()]
    assert [item["custom_id"] for item in found] == [f"q{n}" for n in range(20)]
    first = found[0]["response"]
    assert (first["status_code"], found[0]["error"]) == (200, None)
    assert first["request_id"].startswith("req_")
    assert first["body"]["choices"][0]["message"]["content"] == "You have 30 days. Ask Bruno [1]."
    assert first["body"]["signalbox"]["sources"][0]["document"] == "hr/leave.md"
    assert (await sdk.files.retrieve(done.output_file_id)).bytes == len(text.encode())
    assert {request.priority for request in house.agents.requests} == {10}
    assert {request.principal.user for request in house.agents.requests} == {"ada"}


async def test_lines_that_are_refused_or_fail_are_in_the_errors_file_with_what_the_endpoint_said(sdk, house, client):
    async def script(request: TurnRequest, conversation_id: str) -> AsyncIterator[RunEvent]:
        if "fail" in request.text:
            yield RunFailed(code="internal", message="It broke.", status=500)
            return
        async for event in answer(request, conversation_id):
            yield event

    house.agents.script = script
    lines = [line("good"), line("model", model="gpt-9"), line("fails", "fail"), line("empty", messages=[])]
    made = await begin(sdk, *lines)
    done = await until(sdk, made.id, "completed")
    assert done.request_counts.model_dump() == {"total": 4, "completed": 1, "failed": 3}
    assert (await results(sdk, done.output_file_id)).keys() == {"good"}
    errors = await results(sdk, done.error_file_id)
    said = {
        name: (item["response"]["status_code"], item["response"]["body"]["error"]["code"])
        for name, item in errors.items()
    }
    metrics = (await client.get("/metrics", headers=house.headers("root"))).text
    counted = dict(re.findall(r'signalbox_batch_lines_total\{status="(\d+)"\} (\d+)', metrics))
    assert counted == {"200": "1", "400": "1", "404": "1", "500": "1"}
    assert said == {"model": (404, "model_not_found"), "fails": (500, "internal"), "empty": (400, "invalid_value")}


async def test_a_bare_model_answers_lines_too_with_the_callers_own_limits_on_what_it_may_be_asked(sdk, house):
    lines = [line("plain", model="direct"), line("odd", model="direct", tools="none")]
    made = await begin(sdk, *lines)
    done = await until(sdk, made.id, "completed")
    (answered,) = (await results(sdk, done.output_file_id)).values()
    assert answered["response"]["body"]["choices"][0]["message"]["content"] == "Hello from here."
    (refused,) = (await results(sdk, done.error_file_id)).values()
    assert refused["response"]["status_code"] == 400
    assert house.turns.calls.admission.running == 0


async def test_a_file_with_faults_is_not_begun_and_each_fault_names_its_line(sdk, house):
    content = b"\n".join(
        [
            jsonl(line("a")),
            b"{nonsense",
            jsonl(line("a")),
            jsonl({**line("c"), "url": "/v1/embeddings"}),
            jsonl(line("d", stream=True)),
            jsonl({"custom_id": "e"}),
        ]
    )
    made_file = await sdk.files.create(file=("in.jsonl", content), purpose="batch")
    made = await sdk.batches.create(input_file_id=made_file.id, endpoint=CHAT, completion_window="24h")
    done = await until(sdk, made.id, "failed")
    assert [(fault.line, fault.code) for fault in done.errors.data] == [
        (2, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "mismatched_url"),
        (5, "invalid_stream"),
        (6, "missing_body"),
    ]
    assert done.output_file_id is None
    assert house.agents.requests == []


async def test_cancelling_stops_what_runs_keeps_what_is_done_and_lists_the_rest(sdk, house):
    house.agents.script = hang
    made = await begin(sdk, line("done"), *(line(f"w{n}", "wait") for n in range(20)))
    while (await sdk.batches.retrieve(made.id)).request_counts.completed < 1:
        await asyncio.sleep(0.02)
    assert house.turns.admission.running == 8, "the places of an idle system"
    assert (await sdk.batches.cancel(made.id)).status == "cancelling"
    done = await until(sdk, made.id, "cancelled")
    assert house.turns.admission.running == 0
    assert done.request_counts.model_dump() == {"total": 21, "completed": 1, "failed": 20}
    assert (await results(sdk, done.output_file_id)).keys() == {"done"}
    errors = await results(sdk, done.error_file_id)
    assert {item["error"]["code"] for item in errors.values()} == {"batch_cancelled"}
    assert len(errors) == 20
    with pytest.raises(openai.ConflictError):
        await sdk.batches.cancel(made.id)


async def test_results_can_be_read_while_the_batch_runs(sdk, house):
    house.agents.script = hang
    made = await begin(sdk, line("first"), line("second", "wait"))
    while not (found := await sdk.batches.retrieve(made.id)).output_file_id:
        await asyncio.sleep(0.02)
    assert found.status == "in_progress"
    assert (await results(sdk, found.output_file_id)).keys() == {"first"}


async def test_another_persons_files_and_batches_do_not_exist(sdk, other):
    made = await begin(sdk, line("a"))
    done = await until(sdk, made.id, "completed")
    for attempt in (
        other.files.retrieve(made.input_file_id),
        other.files.content(done.output_file_id),
        other.files.delete(done.output_file_id),
        other.batches.retrieve(made.id),
        other.batches.cancel(made.id),
        other.batches.create(input_file_id=made.input_file_id, endpoint=CHAT, completion_window="24h"),
    ):
        with pytest.raises(openai.NotFoundError):
            await attempt
    assert [item async for item in other.files.list()] == []
    assert [item async for item in other.batches.list()] == []
    assert [item.id async for item in sdk.batches.list()] == [made.id]


async def test_batches_are_listed_page_by_page_latest_first(sdk):
    made = [(await begin(sdk, line("a"))).id for _ in range(5)]
    listed = [item.id async for item in sdk.batches.list(limit=2)]
    assert listed == made[::-1]


async def test_a_batch_takes_none_of_a_persons_places_and_stands_back_while_people_ask(sdk, house):
    house.agents.script = hang
    waiting = [
        asyncio.create_task(
            sdk.chat.completions.create(model="signalbox", messages=[{"role": "user", "content": "wait"}])
        )
        for _ in range(8)
    ]
    while house.turns.admission.people < 8:
        await asyncio.sleep(0.01)
    made = await begin(sdk, *(line(f"w{n}", "wait") for n in range(5)))
    await until(sdk, made.id, "in_progress")
    while house.turns.admission.running < 9:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert (house.turns.admission.people, house.turns.admission.running) == (8, 9), "one line, however many ask"
    for task in waiting:
        task.cancel()
    while house.turns.admission.running != 5:  # people have left: the batch takes what is free
        await asyncio.sleep(0.01)


async def test_lines_leave_no_conversations_unless_they_name_one(sdk, house, client):
    """What the agents are asked to keep; that they do not keep the rest is tested with them."""
    first = await client.post(CHAT, json=line("x")["body"])
    named = first.json()["signalbox"]["conversation_id"]
    made = await begin(sdk, line("a"), line("b", signalbox={"conversation_id": named}))
    await until(sdk, made.id, "completed")
    kept = {request.conversation_id: request.kept for request in house.agents.requests[1:]}
    assert kept == {None: False, named: True}


async def test_what_the_client_gets_wrong_is_said(sdk, client):
    file_id = await upload(sdk, line("a"))
    for asked, param in (
        ({"input_file_id": file_id, "endpoint": "/v1/nothing", "completion_window": "24h"}, "endpoint"),
        ({"input_file_id": file_id, "endpoint": CHAT, "completion_window": "1h"}, "completion_window"),
        ({"endpoint": CHAT, "completion_window": "24h"}, "input_file_id"),
    ):
        response = await client.post("/v1/batches", json=asked)
        assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    with pytest.raises(openai.BadRequestError, match="purpose"):
        await sdk.files.create(file=("x", b"{}"), purpose="assistants")
    response = await client.post("/v1/files", json={"purpose": "batch"})
    assert response.status_code == 400
    response = await client.post("/v1/files", data={"purpose": "batch"}, files={})
    assert response.status_code == 400


class TestLimits:
    @pytest.fixture
    def batch_settings(self) -> BatchSettings:
        return BatchSettings(max_file_bytes=200_000, max_user_bytes=300_000, max_lines=3, max_open_batches=2)

    async def test_a_file_that_is_too_large_leaves_nothing_behind(self, sdk, house):
        with pytest.raises(openai.APIStatusError) as caught:
            await sdk.files.create(file=("x", b"a" * 200_001), purpose="batch")
        assert caught.value.status_code == 413
        with pytest.raises(openai.APIStatusError) as caught:
            await sdk.files.create(file=("x", b"a" * 2_000_000), purpose="batch")
        assert caught.value.status_code == 413
        await sdk.files.create(file=("x", b"a" * 200_000), purpose="batch")
        with pytest.raises(openai.RateLimitError, match="300000"):
            await sdk.files.create(file=("x", b"a" * 150_000), purpose="batch")
        assert len([item async for item in sdk.files.list()]) == 1

    async def test_too_many_lines_and_too_many_batches_are_refused(self, sdk, house):
        house.agents.script = hang
        made = await begin(sdk, *(line(str(n)) for n in range(4)))
        done = await until(sdk, made.id, "failed")
        assert done.errors.data[0].code == "too_many_lines"
        await begin(sdk, line("a", "wait"))
        await begin(sdk, line("a", "wait"))
        with pytest.raises(openai.RateLimitError, match="in progress"):
            await begin(sdk, line("a"))


async def test_a_reply_of_the_assistant_that_was_stopped_is_kept_as_it_is(sdk, house):
    """A person who stops the run of a line gets what they would get anywhere else."""

    async def script(request: TurnRequest, conversation_id: str) -> AsyncIterator[RunEvent]:
        yield AnswerSegment(text="Half. ")
        await asyncio.Event().wait()
        yield RunFinished(result=RunResult(run_id="", conversation_id=conversation_id, text="", engine=""))

    house.agents.script = script
    made = await begin(sdk, line("a"))
    while not house.agents.requests:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    house.log.stop(house.agents.requests[0].run_id, reason="stopped by the user")
    done = await until(sdk, made.id, "completed")
    body = (await results(sdk, done.output_file_id))["a"]["response"]["body"]
    assert body["signalbox"]["cancelled"]
    assert body["choices"][0]["message"]["content"] == "Half. "


async def test_a_shutdown_stops_lines_without_giving_them_a_result(sdk, house):
    house.agents.script = hang
    made = await begin(sdk, line("turn", "wait"), line("more", "wait"))
    while house.turns.admission.running < 2:
        await asyncio.sleep(0.01)
    house.turns.drain()
    house.turns.stop_all(reason="the server is shutting down")
    while house.turns.admission.running:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    found = await sdk.batches.retrieve(made.id)
    assert (found.status, found.output_file_id, found.error_file_id) == ("in_progress", None, None)
    assert found.request_counts.model_dump() == {"total": 2, "completed": 0, "failed": 0}
