"""The real OpenAI client against a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from inline_snapshot import snapshot

from agents.contracts import TurnRequest
from gateway.settings import GatewaySettings
from runs.events import AnswerSegment, RunEvent, RunFailed

HI: Any = [{"role": "user", "content": "How much leave do I have?"}]


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(port=0, keepalive_s=0.1, shutdown_grace_s=0.1, requests_per_minute=20)


async def test_models_are_listed_and_found(sdk):
    assert [model.id async for model in sdk.models.list()] == ["signalbox", "direct"]
    assert (await sdk.models.retrieve("direct")).id == "direct"


async def test_an_answer_carries_text_usage_and_what_it_rests_on(sdk, house):
    answer = await sdk.chat.completions.create(model="signalbox", messages=HI)
    assert answer.choices[0].message.content == "You have 30 days. Ask Bruno [1]."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 18
    assert answer._request_id.startswith("req_")
    extension = answer.model_extra["signalbox"]
    assert extension.pop("run_id") == house.agents.requests[0].run_id
    assert extension.pop("conversation_id").startswith("conv_")
    assert extension == snapshot(
        {
            "engine": "embedded",
            "declined": False,
            "degraded": False,
            "cancelled": False,
            "release": "",
            "assumptions": [],
            "unsupported": 0,
            "question": "",
            "steps": [
                {
                    "id": "s1",
                    "specialist": "knowledge",
                    "status": "ok",
                    "duration_ms": 12.5,
                    "task": "Look it up",
                    "reason": "",
                }
            ],
            "sources": [
                {
                    "ref": "0a1b2c3d",
                    "number": 1,
                    "document": "hr/leave.md",
                    "title": "Leave",
                    "uri": "",
                    "quote": "30 days",
                    "cited": True,
                    "chunk_id": "",
                    "heading": "",
                    "page": None,
                    "start": None,
                    "end": None,
                    "modified": None,
                    "score": None,
                }
            ],
            "approvals": [],
            "cost": 0.0,
            "purposes": {},
            "model_calls": 2,
        }
    )


async def test_a_plain_stream_has_text_and_no_usage(sdk):
    chunks = [chunk async for chunk in await sdk.chat.completions.create(model="signalbox", messages=HI, stream=True)]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You have 30 days. Ask Bruno [1]."
    assert all("usage" not in chunk.model_dump(exclude_unset=True) for chunk in chunks)
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert [bool(chunk.model_extra.get("signalbox")) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].model_extra["signalbox"]["sources"][0]["document"] == "hr/leave.md"


async def test_a_stream_with_usage_ends_with_a_chunk_of_usage_alone(sdk):
    stream = await sdk.chat.completions.create(
        model="signalbox", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert all(chunk.model_dump(exclude_unset=True)["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1].choices == []
    assert chunks[-1].usage.model_dump(exclude_none=True) == snapshot(
        {
            "completion_tokens": 7,
            "prompt_tokens": 11,
            "total_tokens": 18,
            "completion_tokens_details": {"reasoning_tokens": 0},
            "prompt_tokens_details": {"cached_tokens": 3},
        }
    )


async def test_the_stream_helper_accumulates_the_whole_answer(sdk):
    async with sdk.chat.completions.stream(model="signalbox", messages=HI) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == "You have 30 days. Ask Bruno [1]."


async def test_events_come_in_empty_chunks_when_they_are_asked_for(sdk):
    stream = await sdk.chat.completions.create(
        model="signalbox", messages=HI, stream=True, extra_body={"signalbox": {"events": True}}
    )
    events = [chunk.model_extra["signalbox"]["event"]["type"] async for chunk in stream if _is_event(chunk)]
    assert events == ["run.started", "plan.made"]


async def test_a_conversation_goes_on_by_its_id(sdk, house):
    first = await sdk.chat.completions.create(model="signalbox", messages=HI)
    conversation_id = first.model_extra["signalbox"]["conversation_id"]
    for extra in (
        {"extra_body": {"signalbox": {"conversation_id": conversation_id}}},
        {"metadata": {"conversation_id": conversation_id}},
        {"extra_headers": {"X-Conversation-Id": conversation_id}},
    ):
        raw = await sdk.chat.completions.with_raw_response.create(model="signalbox", messages=HI, **extra)
        assert raw.headers["x-conversation-id"] == conversation_id
        assert house.agents.requests[-1].conversation_id == conversation_id
    assert len(await house.conversations.history(house.agents.requests[0].principal, conversation_id)) == 8


async def test_a_stateless_client_sends_context_with_its_question(sdk, house):
    parts = [{"type": "text", "text": "And for"}, {"type": "text", "text": "Ghent?"}]
    messages: Any = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": "How much leave?"},
        {"role": "assistant", "content": "30 days."},
        {"role": "user", "content": parts},
    ]
    await sdk.chat.completions.create(
        model="direct", messages=messages, max_completion_tokens=9, temperature=0.5, user="x", store=True
    )
    request = house.agents.requests[0]
    assert (request.text, request.model, request.max_tokens, request.temperature) == (
        "And for\nGhent?",
        "direct",
        9,
        0.5,
    )
    assert [(message.role, message.content) for message in request.context] == [
        ("system", "Be short."),
        ("user", "How much leave?"),
        ("assistant", "30 days."),
    ]


@pytest.mark.parametrize(
    ("kind", "code", "param", "ask"),
    [
        (openai.BadRequestError, "invalid_value", "messages", {"messages": []}),
        (openai.BadRequestError, "invalid_value", "n", {"n": 2}),
        (
            openai.BadRequestError,
            "invalid_value",
            "messages[0].content",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        ),
        (openai.BadRequestError, "invalid_value", "response_format", {"response_format": {"type": "json_object"}}),
        (openai.NotFoundError, "model_not_found", "model", {"model": "gpt-9"}),
        (openai.NotFoundError, "not_found", None, {"extra_headers": {"X-Conversation-Id": "conv_of_nobody"}}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_faults_are_the_clients_exceptions(sdk, kind, code, param, ask, stream):
    with pytest.raises(kind) as caught:
        await sdk.chat.completions.create(**{"model": "signalbox", "messages": HI, "stream": stream, **ask})
    assert (caught.value.code, caught.value.param) == (code, param)


async def test_a_wrong_key_is_an_authentication_error(url):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-sb-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.models.list()
    assert caught.value.code == "invalid_api_key"


async def test_too_many_requests_are_a_rate_limit_error_with_a_time_to_wait(sdk):
    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(21):
            await sdk.models.list()
    assert caught.value.code == "rate_limit_exceeded"
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60


def failing(*words: str):
    async def script(_request: TurnRequest, _conversation: str) -> AsyncIterator[RunEvent]:
        for word in words:
            yield AnswerSegment(text=word)
        await asyncio.sleep(0.1)
        yield RunFailed(code="upstream_down", message="The model does not answer. Try again.", status=503)

    return script


async def test_a_stream_that_fails_before_its_first_words_is_an_http_error(sdk, house):
    house.agents.script = failing()
    with pytest.raises(openai.InternalServerError) as caught:
        await sdk.chat.completions.create(model="signalbox", messages=HI, stream=True)
    assert (caught.value.status_code, caught.value.code) == (503, "upstream_down")


async def test_an_error_after_the_first_words_is_raised_where_it_happens(sdk, house):
    house.agents.script = failing("You have ", "30 days.")
    stream = await sdk.chat.completions.create(model="signalbox", messages=HI, stream=True)
    heard = ""
    with pytest.raises(openai.APIError) as caught:
        async for chunk in stream:
            heard += chunk.choices[0].delta.content or ""
    assert caught.value.code == "upstream_down"
    assert heard == "You have 30 days."


def _is_event(chunk: Any) -> bool:
    return "event" in chunk.model_extra.get("signalbox", {})
