"""Bare models through the real OpenAI client, the real app and a scripted model server: what is asked and answered."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.gateway.conftest import Bare, House
from tests.inference.peer import Peer, Script

HI: Any = [{"role": "user", "content": "Hello? See https://docs.larkspur.example/start."}]
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("add", "mail")
]
KEY = "sk-proj-abcdefghijklmnop0123456789"


@pytest.fixture
def inference(peer: Peer) -> dict[str, Any]:
    price = {"input_per_million": 2, "output_per_million": 10}
    models = {"twin": {"served_name": "test-model", "price": price}, "closed": {"served_name": "test-model"}}
    offered = {"twin": ("group:staff",), "closed": ("user:root",)}
    return {"base_url": peer.url, "model": "test-model", "price": price, "models": models, "offered": offered}


async def said(stream: Any) -> Any:
    """A stream put together by the client's own helper."""
    async with stream as events:
        async for _ in events:
            pass
        return await events.get_final_completion()


async def test_what_the_caller_asks_for_reaches_the_model_and_nothing_else_does(sdk, peer):
    wanted = {
        "tools": TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
        "stop": ["END"],
        "seed": 7,
        "temperature": 0.1,
        "top_p": 0.9,
        "max_completion_tokens": 50,
    }
    peer.script = Script(pieces=("{}",))
    await sdk.chat.completions.create(model="direct", messages=HI, n=1, user="x", logprobs=False, **wanted)
    sent = peer.requests[-1].body
    assert {name: sent[name] for name in wanted} == wanted
    ours = {"model", "messages", "priority", "cache_salt"}
    assert sent.keys() == wanted.keys() | ours
    assert sent["messages"] == HI


@pytest.mark.parametrize("streamed", [False, True])
async def test_tool_calls_come_as_the_client_expects_and_a_conversation_goes_on_with_their_results(sdk, peer, streamed):
    def script(body: Any) -> Script:
        if body["messages"][-1]["role"] == "tool":
            return Script(pieces=("It is ", "three."))
        return Script(pieces=(), calls=[("add", '{"a": 1, "b": 2}'), ("mail", '{"to": "bo"}')])

    async def ask(messages: Any) -> Any:
        asked = {"model": "direct", "messages": messages, "tools": TOOLS}
        if not streamed:
            return await sdk.chat.completions.create(**asked)
        return await said(sdk.chat.completions.stream(**asked))

    peer.script = script
    answer = await ask(HI)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls] == [
        ("c0", "add", '{"a": 1, "b": 2}'),
        ("c1", "mail", '{"to": "bo"}'),
    ]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "3"} for call in choice.message.tool_calls]
    made = {
        "role": "assistant",
        "tool_calls": [call.model_dump(exclude_none=True) for call in choice.message.tool_calls],
    }
    answer = await ask([*HI, made, *results])
    assert answer.choices[0].message.content == "It is three."
    assert answer.choices[0].finish_reason == "stop"
    assert [message["role"] for message in peer.requests[-1].body["messages"]] == ["user", "assistant", "tool", "tool"]


async def test_a_structured_answer_is_parsed_by_the_client(sdk, peer):
    class Leave(BaseModel):
        days: int
        who: str

    peer.script = Script(pieces=('{"days": 3', "0, ", '"who": "Ada"}'))
    answer = await sdk.chat.completions.parse(model="direct", messages=HI, response_format=Leave)
    assert answer.choices[0].message.parsed == Leave(days=30, who="Ada")
    streamed = await said(sdk.chat.completions.stream(model="direct", messages=HI, response_format=Leave))
    assert streamed.choices[0].message.parsed == Leave(days=30, who="Ada")


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_may_not_leave_is_masked_in_text_and_inside_strings_and_json_stays_json(sdk, peer, streamed):
    async def ask(**more: Any) -> Any:
        if not streamed:
            return await sdk.chat.completions.create(model="direct", messages=HI, **more)
        return await said(sdk.chat.completions.stream(model="direct", messages=HI, **more))

    peer.script = Script(pieces=("The key is ", KEY[:9], KEY[9:] + ". Use ", "https://docs.larkspur.example/x. Bye."))
    answer = await ask()
    assert answer.choices[0].message.content == (
        "The key is [secret removed]. Use https://docs.larkspur.example/x. Bye."
    )
    if not streamed:  # the client's helper keeps no fields that it does not know
        assert answer.model_extra["signalbox"]["review"] == {"verdict": "mask", "reasons": ["a credential"]}

    arguments = {"to": "bo", "n": 3, "body": [f"key {KEY}", "see https://evil.example/?q=1"], "password": "Tr0ub4dor&3"}
    peer.script = Script(pieces=(), calls=[("mail", json.dumps(arguments))])
    answer = await ask(tools=TOOLS)
    (call,) = answer.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {
        "to": "bo",
        "n": 3,
        "body": ["key [secret removed]", "see [link removed]"],
        "password": "[secret removed]",
    }
    assert answer.choices[0].finish_reason == "tool_calls"

    peer.script = Script(pieces=(json.dumps({"note": f"it is {KEY}", "ok": True}),))
    answer = await ask(response_format={"type": "json_object"})
    assert json.loads(answer.choices[0].message.content) == {"note": "it is [secret removed]", "ok": True}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("script", "more"),
    [
        (Script(pieces=("All well. ", "My word is kestrel-4711-harbour. ", "More.")), {}),
        (Script(pieces=(), calls=[("mail", '{"body": "kestrel-4711-harbour"}')]), {"tools": TOOLS}),
        (Script(pieces=(), calls=[("shell", "{}")]), {"tools": TOOLS}),
        (Script(pieces=('{"a": "kestrel-4711-', 'harbour"}')), {"response_format": {"type": "json_object"}}),
        (Script(pieces=(), calls=[("mail", '{"card": 4111111111111111}')]), {"tools": TOOLS}),
        (Script(pieces=(), calls=[("mail", f'{{"{KEY}": 1}}')]), {"tools": TOOLS}),
    ],
)
async def test_what_is_withheld_ends_the_answer_by_the_content_filter(sdk, peer, streamed, script, more):
    peer.script = script
    asked: Any = {"model": "direct", "messages": HI, **more}
    if streamed:
        chunks = [chunk async for chunk in await sdk.chat.completions.create(stream=True, **asked)]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        refusal = "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks)
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
        finish = chunks[-1].choices[0].finish_reason
    else:
        answer = await sdk.chat.completions.create(**asked)
        message = answer.choices[0].message
        text, refusal, calls = message.content or "", message.refusal or "", message.tool_calls or []
        finish = answer.choices[0].finish_reason
    assert finish == "content_filter"
    assert calls == []
    if more:
        assert refusal.startswith("[Withheld:")
        assert text == ""
    else:
        assert text == "All well. [Withheld: this part of the answer held internal instructions.]"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "script",
    [
        Script(reasoning=("I ponder. ", "Deeply. "), pieces=("Yes.",)),
        Script(reasoning=("I ponder. ",), reasoning_field="reasoning_content", pieces=("Yes.",)),
        Script(pieces=("<thi", "nk>I ponder.", "</think>\n\nYe", "s.")),
    ],
)
async def test_thoughts_never_leave(sdk, peer, streamed, script):
    peer.script = script
    asked: Any = {"model": "direct", "messages": HI}
    answer = await (said(sdk.chat.completions.stream(**asked)) if streamed else sdk.chat.completions.create(**asked))
    assert answer.choices[0].message.content == "Yes."
    assert "ponder" not in answer.model_dump_json()


async def test_usage_cost_and_release_are_told_and_audited_without_content(sdk, peer, bare: Bare):
    answer = await sdk.chat.completions.create(model="twin", messages=HI, tools=TOOLS)
    assert answer.model == "twin"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 4)
    told = answer.model_extra["signalbox"]
    assert told["cost"] == pytest.approx((11 * 2 + 4 * 10) / 1e6)
    assert told["purposes"]["direct"]["cost"] == told["cost"]
    assert (told["engine"], told["release"], told["degraded"]) == ("test-model", "r7", False)
    stream = await sdk.chat.completions.create(
        model="direct", messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 15
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-2].model_extra["signalbox"]["cost"] == pytest.approx(62e-6)
    first, second = await bare.records()
    assert first["run"] == told["run_id"]
    assert (first["model"], second["model"]) == ("twin", "direct")
    volatile = ("seq", "time", "prev", "hash", "run", "duration_ms")
    assert {name: value for name, value in second.items() if name not in volatile} == {
        "event": "model.call",
        "trace": "",
        "tenant": "default",
        "user": "ada",
        "groups": ["operations", "staff"],
        "purpose": "direct",
        "model": "direct",
        "engine": "test-model",
        "degraded": False,
        "release": "r7",
        "messages": 1,
        "tools": 0,
        "prompt_tokens": 11,
        "completion_tokens": 4,
        "cached_tokens": 0,
        "cost": pytest.approx(62e-6),
        "review": "release",
        "reasons": [],
        "finish_reason": "stop",
        "outcome": "ok",
        "error": "",
    }
    assert "Hello" not in json.dumps([first, second])


async def test_a_caller_may_name_the_models_that_are_offered_to_it(sdk, url, house: House, bare: Bare):
    assert [model.id async for model in sdk.models.list()] == ["signalbox", "direct", "twin"]
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=house.tokens["root"], max_retries=0) as root:
        assert [model.id async for model in root.models.list()] == ["signalbox", "direct", "closed"]
        assert (await root.chat.completions.create(model="closed", messages=HI)).choices[0].message.content
        with pytest.raises(openai.NotFoundError):
            await root.models.retrieve("twin")
    with pytest.raises(openai.NotFoundError) as caught:
        await sdk.chat.completions.create(model="closed", messages=HI)
    assert caught.value.code == "model_not_found"
    assert "Use one of signalbox, direct, twin." in caught.value.message
    assert [record["outcome"] for record in await bare.records()] == ["ok", "denied"]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"logprobs": True}, "logprobs"),
        ({"n": 2}, "n"),
        ({"tool_choice": {"type": "function", "function": {"name": "nope"}}, "tools": TOOLS}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "custom"}]}, "tools[0]"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"temperature": 9}, "temperature"),
        ({"messages": [{"role": "tool", "content": "3"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "judge", "content": "3"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": "x" * 33_000}]}, "messages[0].content"),
    ],
)
async def test_what_is_wrong_is_named(sdk, peer, change, param):
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.chat.completions.create(**{"model": "direct", "messages": HI, **change})
    assert caught.value.param == param
    assert peer.requests == []


async def test_a_kept_call_is_a_turn_of_a_conversation(sdk, house: House, bare):
    for kept in ({"store": True}, {"extra_body": {"signalbox": {}}}):
        answer = await sdk.chat.completions.create(model="direct", messages=HI, **kept)
        assert answer.model_extra["signalbox"]["conversation_id"].startswith("conv_")
    with pytest.raises(openai.NotFoundError):
        await sdk.chat.completions.create(model="direct", messages=HI, metadata={"conversation_id": "conv_x"})
    assert [request.model for request in house.agents.requests] == ["direct"] * 3
    with pytest.raises(openai.BadRequestError, match="answers no turn"):
        await sdk.chat.completions.create(model="twin", messages=HI, store=True)
    assert await bare.records() == []


async def test_calls_of_one_conversation_carry_one_session_and_others_another(sdk, peer):
    await sdk.chat.completions.create(model="direct", messages=HI)
    more = [*HI, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "And?"}]
    await sdk.chat.completions.create(model="direct", messages=[HI[0], more[1]])
    await sdk.chat.completions.create(model="direct", messages=more)
    await sdk.chat.completions.create(model="direct", messages=HI, extra_headers={"X-Session-ID": "mine"})
    await sdk.chat.completions.create(model="direct", messages=more, prompt_cache_key="mine")
    sessions = [request.headers["X-Session-ID"] for request in peer.requests]
    assert sessions[1] == sessions[2]
    assert sessions[3] == sessions[4] != sessions[1]
    assert all("mine" not in session for session in sessions)
