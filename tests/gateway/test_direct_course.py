"""How a call of a bare model goes and ends: sentences, silence, a limit, a stop, a caller who leaves, a failure."""

import asyncio
from typing import Any

import httpx
import openai
import pytest

from gateway.settings import GatewaySettings
from tests.gateway.conftest import Bare, House
from tests.inference.peer import Peer, Script

HI: Any = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def inference(peer: Peer) -> dict[str, Any]:
    return {"base_url": peer.url, "model": "test-model"}


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(port=0, keepalive_s=0.1, shutdown_grace_s=0.1, calls_per_principal=3)


async def test_sentences_leave_as_soon_as_they_are_whole(sdk, peer):
    peer.script = Script(pieces=("One is here. ", "Two is ", "coming. ", "Three."), between_s=0.05)
    stream = await sdk.chat.completions.create(model="direct", messages=HI, stream=True)
    texts = [
        chunk.choices[0].delta.content async for chunk in stream if chunk.choices and chunk.choices[0].delta.content
    ]
    assert texts == ["One is here. ", "Two is coming. ", "Three."]


@pytest.mark.parametrize("streamed", [False, True])
async def test_past_the_limit_a_call_is_refused_at_once_with_a_time_to_wait(sdk, peer, streamed):
    peer.script = Script(head_s=5)
    waiting = [asyncio.create_task(sdk.chat.completions.create(model="direct", messages=HI)) for _ in range(3)]
    while len(peer.requests) < 3:
        await asyncio.sleep(0.01)
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.chat.completions.create(model="direct", messages=HI, stream=streamed)
    assert int(caught.value.response.headers["retry-after"]) >= 1
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    while peer.disconnects < 3:  # a client that leaves ends its call at the model server
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_can_be_stopped_by_its_owner_and_by_nobody_else(sdk, url, peer, house: House, bare, streamed):
    peer.script = Script(pieces=("One. ", "Two. "), hang="middle" if streamed else "head")
    asking = asyncio.create_task(sdk.chat.completions.create(model="direct", messages=HI, stream=streamed))
    while not peer.requests:
        await asyncio.sleep(0.01)
    (run_id,) = house.turns.calls._live
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=house.tokens["bruno"], max_retries=0) as bruno:
        with pytest.raises(openai.NotFoundError):
            await bruno.post(f"/runs/{run_id}/cancel", cast_to=object)
    if streamed:
        chunks = aiter(await asking)
        await anext(chunks)
    assert await sdk.post(f"/runs/{run_id}/cancel", cast_to=object)
    if streamed:
        last = [chunk async for chunk in chunks][-1]
    else:
        last = await asking
    assert last.choices[0].finish_reason == "stop"
    assert last.model_extra["signalbox"]["cancelled"] is True
    assert last.model_extra["signalbox"]["reason"] == "stopped by the user"
    while not peer.disconnects:
        await asyncio.sleep(0.01)
    assert [record["outcome"] for record in await bare.records()] == ["cancelled"]


async def test_leaving_a_stream_ends_it_at_the_model_server(sdk, peer, house: House, bare):
    peer.script = Script(pieces=("One. ", "Two. ") * 500, between_s=0.01)
    stream = await sdk.chat.completions.create(model="direct", messages=HI, stream=True)
    await anext(aiter(stream))
    await stream.close()
    while not peer.disconnects or house.turns.calls._live:
        await asyncio.sleep(0.01)
    assert [record["outcome"] for record in await bare.records()] == ["cancelled"]
    assert house.turns.calls.admission.running == 0


async def test_silence_is_filled_with_comments(url, peer, house: House):
    peer.script = Script(pieces=("One. ", "Two."), between_s=0.35)
    body = {"model": "direct", "messages": HI, "stream": True}
    path = f"{url}/v1/chat/completions"
    async with (
        httpx.AsyncClient(headers=house.headers("ada")) as http,
        http.stream("POST", path, json=body) as response,
    ):
        lines = [line async for line in response.aiter_lines()]
    assert ": keep-alive" in lines
    assert lines[-2] == "data: [DONE]"


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_fails_before_the_first_word_is_an_http_error(sdk, peer, bare, streamed):
    peer.script = Script(status=400, message="top_p must be in (0, 1]")
    with pytest.raises(openai.BadRequestError, match="top_p must be"):
        await sdk.chat.completions.create(model="direct", messages=HI, stream=streamed)
    peer.script = Script(status=503, headers={"Retry-After": "3"})
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.chat.completions.create(model="direct", messages=HI, stream=streamed)
    assert caught.value.response.headers["retry-after"] == "3"
    assert [(record["outcome"], record["error"]) for record in await bare.records()] == [
        ("failed", "invalid_request"),
        ("failed", "budget_spent"),
    ]


async def test_an_answer_that_breaks_off_before_a_word_of_it_has_left_is_asked_for_again(sdk, peer, bare: Bare):
    scripts = iter([Script(pieces=("Not yet a", " sentence"), crash="middle"), Script(pieces=("All ", "is well."))])
    peer.script = lambda _body: next(scripts)
    stream = await sdk.chat.completions.create(model="direct", messages=HI, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "All is well."
    assert chunks[-1].model_extra["signalbox"]["model_calls"] == 2
    (record,) = await bare.records()
    assert record["outcome"] == "ok"


async def test_what_fails_after_the_first_words_is_raised_where_it_happens(sdk, peer):
    peer.script = Script(pieces=("One is here. ", "Two is here. ", "Three."), crash="middle")
    stream = await sdk.chat.completions.create(model="direct", messages=HI, stream=True)
    heard = ""
    with pytest.raises(openai.APIError, match="failed during the answer"):
        async for chunk in stream:
            heard += chunk.choices[0].delta.content or ""
    assert heard.startswith("One is here.")
