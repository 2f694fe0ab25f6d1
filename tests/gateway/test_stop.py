"""Stop is a feature: by leaving, by asking, and by shutting down. On a real server, with real connections."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from agents.contracts import TurnRequest
from gateway.settings import GatewaySettings
from runs.events import AnswerSegment, RunCancelled, RunEvent
from tests.gateway.conftest import House, served

CHAT = "/v1/chat/completions"


def body(**more: object) -> dict:
    return {"model": "signalbox", "messages": [{"role": "user", "content": "hi"}], **more}


async def forever(_request: TurnRequest, _conversation: str) -> AsyncIterator[RunEvent]:
    yield AnswerSegment(text="It begins. ")
    await asyncio.sleep(3600)


async def silent(_request: TurnRequest, _conversation: str) -> AsyncIterator[RunEvent]:
    await asyncio.sleep(3600)
    yield AnswerSegment(text="never")


@pytest.fixture
async def http(url: str, house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, headers=house.headers("ada")) as client:
        yield client


async def stopped_within(house: House, seconds: float) -> RunEvent:
    async with asyncio.timeout(seconds):
        await house.agents.closed.wait()
        while house.turns.admission.running:
            await asyncio.sleep(0.005)
    request = house.agents.requests[-1]
    return (await house.log.events(request.principal, request.run_id))[-1]


async def test_leaving_a_stream_stops_the_run(http: httpx.AsyncClient, house: House):
    house.agents.script = forever
    async with http.stream("POST", CHAT, json=body(stream=True)) as response:
        async for text in response.aiter_text():
            if "It begins" in text:
                break
    assert isinstance(await stopped_within(house, 1), RunCancelled)


async def test_leaving_before_the_answer_stops_the_run(url: str, house: House):
    house.agents.script = silent
    async with httpx.AsyncClient(base_url=url, headers=house.headers("ada"), timeout=0.3) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(CHAT, json=body())
    assert isinstance(await stopped_within(house, 1), RunCancelled)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_can_be_stopped_from_elsewhere_and_keeps_its_words(http: httpx.AsyncClient, house: House, stream):
    house.agents.script = forever
    asking = asyncio.create_task(http.post(CHAT, json=body(stream=stream)))
    while house.log.running == 0:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    run_id = house.agents.requests[0].run_id
    stop = await http.post(f"/v1/runs/{run_id}/cancel")
    assert stop.json() == {"id": run_id, "object": "run", "cancelled": True}
    answer = await asyncio.wait_for(asking, 1)
    assert answer.status_code == 200
    assert "It begins. " in answer.text
    assert '"cancelled":true' in answer.text
    assert '"reason":"stopped by the user"' in answer.text
    assert f'"conversation_id":"{answer.headers["x-conversation-id"]}"' in answer.text
    if stream:
        assert answer.text.endswith("data: [DONE]\n\n")
    assert (await http.post(f"/v1/runs/{run_id}/cancel")).json()["cancelled"] is False


async def test_silence_is_filled_with_comments(http: httpx.AsyncClient, house: House):
    house.agents.script = silent
    async with http.stream("POST", CHAT, json=body(stream=True)) as response:
        seen = ""
        async for text in response.aiter_text():
            seen += text
            if seen.count(": keep-alive\n\n") == 2:
                break
    assert seen.startswith('data: {"id":"chatcmpl-')


async def test_a_second_reader_follows_a_run_and_resumes_where_it_left(http: httpx.AsyncClient, house: House):
    house.agents.script = forever
    asking = asyncio.create_task(http.post(CHAT, json=body()))
    while house.log.running == 0:
        await asyncio.sleep(0.01)
    path = f"/v1/runs/{house.agents.requests[0].run_id}/events"
    async with asyncio.timeout(3):
        first = await frames(http, path, until="answer.segment")
        resume = asyncio.create_task(frames(http, path, headers={"last-event-id": first[0]["id"]}))
        await asyncio.sleep(0.1)
        await http.post(path.replace("events", "cancel"))
        rest = await resume
    assert [frame["event"] for frame in first] == ["run.started", "answer.segment"]
    assert [(frame["id"], frame["event"]) for frame in rest] == [("2", "answer.segment"), ("3", "run.cancelled")]
    await asking
    listed = (await http.get(path, params={"after": 2})).json()["data"]
    assert [(event["seq"], event["type"]) for event in listed] == [(3, "run.cancelled")]


class TestCrowd:
    @pytest.fixture
    def settings(self) -> GatewaySettings:
        return GatewaySettings(port=0, keepalive_s=0.05, shutdown_grace_s=0.1, runs_per_principal=100)

    async def test_many_that_leave_at_once_leave_nothing_behind(self, url: str, house: House):
        house.agents.script = forever
        before = len(asyncio.all_tasks())

        async def leave(number: int) -> None:
            async with (
                httpx.AsyncClient(base_url=url, headers=house.headers("ada")) as http,
                http.stream("POST", CHAT, json=body(stream=True)) as response,
            ):
                async for text in response.aiter_text():
                    if "It begins" in text or number % 2:
                        break

        await asyncio.gather(*(leave(number) for number in range(40)))
        async with asyncio.timeout(2):
            while house.turns.admission.running:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # the flusher writes what has ended
        assert len(asyncio.all_tasks()) <= before + 1
        assert len(house.agents.requests) == 40


async def test_a_shutdown_lets_runs_finish_and_ends_the_others_cleanly(house: House):
    house.agents.script = forever
    began = time.monotonic()
    async with served(house) as server:
        url = f"http://127.0.0.1:{server.port}"
        http = httpx.AsyncClient(base_url=url, headers=house.headers("ada"))
        asking = asyncio.create_task(http.post(CHAT, json=body(stream=True)))
        while house.log.running == 0:
            await asyncio.sleep(0.01)
    answer = await asking
    await http.aclose()
    assert answer.text.endswith("data: [DONE]\n\n")
    assert "the server is shutting down" in answer.text
    assert time.monotonic() - began < 3


async def frames(http: httpx.AsyncClient, path: str, *, until: str = "", headers: dict | None = None) -> list[dict]:
    found: list[dict] = []
    accept = {"accept": "text/event-stream", **(headers or {})}
    async with http.stream("GET", path, headers=accept) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        frame: dict = {}
        async for line in response.aiter_lines():
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(": ")
                frame[name] = value
            elif frame:
                json.loads(frame["data"])
                found.append(frame)
                if frame["event"] == until:
                    return found
                frame = {}
    return found
