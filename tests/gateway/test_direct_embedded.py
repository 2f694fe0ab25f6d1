"""`direct` where there is no model server: what the embedded engine does with tools, schemas and questions."""

import asyncio
import json
from typing import Any

import openai
import pytest

from inference.embedded.engine import EmbeddedEngine
from inference.embedded.settings import EmbeddedSettings
from tests.inference.embedded.conftest import HashingEmbedder

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city today.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
def embedded() -> Any:
    return EmbeddedEngine(HashingEmbedder(), EmbeddedSettings()).client


def asked(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def call(sdk: openai.AsyncOpenAI, **more: Any) -> Any:
    return (await sdk.chat.completions.create(model="direct", **more)).choices[0]


async def test_it_calls_a_tool_of_the_callers_and_reads_its_result(sdk):
    question = asked('What is the weather in "Ghent" today?')
    choice = await call(sdk, messages=question, tools=[WEATHER], tool_choice="required")
    assert choice.finish_reason == "tool_calls"
    (made,) = choice.message.tool_calls
    assert made.function.name == "get_weather"
    assert json.loads(made.function.arguments) == {"city": "Ghent"}
    said = "The weather in Ghent today is 12 degrees with light rain."
    result = {"role": "tool", "tool_call_id": made.id, "content": said}
    told = {"role": "assistant", "tool_calls": [made.model_dump(exclude_none=True)]}
    choice = await call(sdk, messages=[*question, told, result], tools=[WEATHER])
    assert "12 degrees" in choice.message.content


class StuckEmbedder(HashingEmbedder):
    async def embed(self, texts: Any) -> Any:
        await asyncio.Event().wait()


@pytest.mark.parametrize("embedded", [EmbeddedEngine(StuckEmbedder(), EmbeddedSettings(embed_timeout_s=0.05)).client])
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_engine_that_is_kept_waiting_is_busy_and_not_broken(sdk, streamed):
    question = asked('What is the weather in "Ghent" today?')
    with pytest.raises(openai.InternalServerError) as refused:
        await sdk.chat.completions.create(model="direct", messages=question, tools=[WEATHER], stream=streamed)
    assert (refused.value.status_code, refused.value.response.headers["retry-after"]) == (503, "5")


async def test_a_streamed_call_has_the_same_shape(sdk):
    messages = asked('What is the weather in "Ghent" today?')
    async with sdk.chat.completions.stream(
        model="direct", messages=messages, tools=[WEATHER], tool_choice="required"
    ) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"
    assert final.choices[0].finish_reason == "tool_calls"


async def test_it_answers_in_the_callers_schema(sdk):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    choice = await call(sdk, messages=asked("Which city is it? 'Ghent'."), response_format=wanted)
    assert set(json.loads(choice.message.content)) == {"city"}


async def test_what_it_cannot_do_it_says_without_our_own_marks(sdk):
    choice = await call(sdk, messages=asked("Write a poem about the sea."))
    assert choice.message.content
    assert "NO_ANSWER" not in choice.message.content
    assert choice.finish_reason == "stop"


async def test_images_are_refused_by_name(sdk):
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    with pytest.raises(openai.BadRequestError, match="reads no images"):
        await call(sdk, messages=[{"role": "user", "content": [picture]}])
