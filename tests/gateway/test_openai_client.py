"""The real OpenAI client against a real server."""

from collections.abc import AsyncIterator

import openai
import pytest

from tests.gateway.conftest import House

HI = [{"role": "user", "content": "How much leave do I have?"}]


@pytest.fixture
async def sdk(url: str, house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=house.tokens["ada"], max_retries=0) as client:
        yield client


async def test_models_are_listed_and_found(sdk):
    assert [model.id async for model in sdk.models.list()] == ["signalbox", "direct"]
    assert (await sdk.models.retrieve("direct")).id == "direct"


async def test_an_answer_carries_text_usage_and_what_it_rests_on(sdk):
    answer = await sdk.chat.completions.create(model="signalbox", messages=HI)
    assert answer.choices[0].message.content == "You have 30 days. Ask Bruno [1]."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 18
    assert answer._request_id.startswith("req_")
    extension = answer.model_extra["signalbox"]
    assert extension["run_id"].startswith("run_")
    assert extension["steps"][0] | {"specialist": "knowledge", "status": "ok"} == extension["steps"][0]
    assert extension["sources"][0]["document"] == "hr/leave.md"
    assert extension["sources"][0]["cited"] is True
    assert extension["engine"] == "embedded"
    assert extension["declined"] is False
