"""The bare model: a chat body in, what the server says out."""

import asyncio
import time

import pytest
from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, SystemMessage, UserMessage

from inference.errors import ModelFault
from signalbox.errors import BudgetSpent, UpstreamDown, UserFault
from tests.inference.peer import Script
from tests.inference.scripted import ScriptedClient

SAY = {"model": "direct", "messages": [{"role": "user", "content": "Hello?"}]}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


@pytest.fixture
def direct(peer, make_models, scope):
    return make_models(base_url=peer.url, model="test-model").direct(scope)


async def chunks_of(direct, body):
    return [chunk async for batch in direct.stream(body) for chunk in batch]


def text_of(chunks):
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])


async def test_a_stream_passes_through_with_usage_last(peer, direct, scope):
    chunks = await chunks_of(direct, {**SAY, "stream": True, "temperature": 0.5, "user": "ada"})
    assert text_of(chunks) == "Hello from the peer."
    assert chunks[-1]["usage"]["completion_tokens"] == 4
    sent = peer.requests[-1].body
    assert sent["temperature"] == 0.5
    assert "user" not in sent
    assert scope.meter.usage.completion_tokens == 4
    assert scope.meter.usage.model_calls == 1


async def test_a_whole_completion_passes_through(peer, direct, scope):
    completion = await direct.complete(SAY)
    assert completion["choices"][0]["message"]["content"] == "Hello from the peer."
    assert scope.meter.usage.prompt_tokens == 11


async def test_the_callers_tools_and_formats_are_honoured_as_they_are(peer, direct):
    peer.script = Script(pieces=(), calls=[("add", '{"a": 1}')])
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    body = {**SAY, "tools": [TOOL], "tool_choice": "auto", "response_format": wanted}
    chunks = await chunks_of(direct, body)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    parts = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert "".join(parts) == '{"a": 1}'
    sent = peer.requests[-1].body
    assert (sent["tools"], sent["response_format"]) == ([TOOL], wanted)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"cache_salt": "stolen"}, "cache_salt"),
        ({"priority": -1}, "priority"),
        ({"chat_template": "{{ x }}"}, "chat_template"),
        ({"n": 5}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://db/"}}]}]},
            "messages[0].content",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content"),
    ],
)
async def test_what_may_not_reach_a_model_server_is_refused_by_name(peer, direct, change, param):
    with pytest.raises(UserFault) as caught:
        await direct.complete({**SAY, **change})
    assert caught.value.param == param
    assert peer.requests == []


async def test_the_servers_refusal_is_the_callers(peer, direct):
    peer.script = Script(status=400, message="top_p must be in (0, 1]")
    with pytest.raises(UserFault, match="top_p must be"):
        await chunks_of(direct, {**SAY, "top_p": 7})


async def test_faults_fail_over_before_and_end_clearly_after_the_first_token(peer, direct):
    turns = iter([Script(crash="first"), Script(), Script(crash="middle")])
    peer.script = lambda _body: next(turns)
    assert text_of(await chunks_of(direct, SAY)) == "Hello from the peer."
    with pytest.raises(UpstreamDown, match="failed during the answer"):
        await chunks_of(direct, SAY)


async def test_nonsense_is_an_error(peer, direct):
    peer.script = Script(
        raw=b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: {"choices": [{"delta": 3}]}\n\n'
    )
    with pytest.raises((ModelFault, UpstreamDown)):
        await chunks_of(direct, SAY)
    peer.script = Script(raw=b"{}")
    with pytest.raises(ModelFault):
        await direct.complete(SAY)


async def test_busy_is_said_at_once(peer, direct):
    peer.script = Script(status=503, headers={"Retry-After": "3"})
    with pytest.raises(BudgetSpent) as caught:
        await direct.complete(SAY)
    assert caught.value.retry_after_s == 3


async def test_the_embedded_engine_answers_in_the_same_shape(make_models, scope):
    direct = make_models(embedded=lambda s: ScriptedClient(s, "Two words.")).direct(scope)
    chunks = await chunks_of(direct, SAY)
    assert text_of(chunks).split() == ["Two", "words."]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    completion = await direct.complete(SAY)
    assert completion["object"] == "chat.completion"
    assert completion["choices"][0]["message"] == {"role": "assistant", "content": "Two words."}
    assert scope.meter.usage.model_calls == 2


async def test_the_embedded_engine_gets_messages_tools_and_formats_in_its_own_types(make_models, scope):
    made: list[ScriptedClient] = []

    def make(call_scope):
        made.append(ScriptedClient(call_scope, [FunctionCall(id="c1", name="add", arguments='{"a": 1}')]))
        return made[-1]

    direct = make_models(embedded=make).direct(scope)
    call = {"id": "c0", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    messages = [
        {"role": "developer", "content": "Rules."},
        {"role": "user", "content": [{"type": "text", "text": "Add"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c0", "content": "2"},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "Again"},
    ]
    choice = {"type": "function", "function": {"name": "add"}}
    chunks = await chunks_of(direct, {"messages": messages, "tools": [TOOL], "tool_choice": choice})
    assert chunks[1]["choices"][0]["delta"]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert chunks[2]["choices"][0]["finish_reason"] == "tool_calls"
    asked = made[0].asked[0]
    kinds = [
        SystemMessage,
        UserMessage,
        AssistantMessage,
        FunctionExecutionResultMessage,
        AssistantMessage,
        UserMessage,
    ]
    assert [type(message) for message in asked["messages"]] == kinds
    assert asked["messages"][3].content[0].name == "add"
    assert (asked["tool_choice"], asked["tools"][0]["name"]) == ("required", "add")
    with pytest.raises(UserFault, match="not among the tools"):
        await direct.complete({"messages": messages, "tools": [], "tool_choice": choice})


async def test_a_fallback_to_the_embedded_engine_is_degraded(make_models, scope):
    models = make_models(
        embedded=lambda s: ScriptedClient(s, "Still here."),
        base_url="http://127.0.0.1:9",
        fallback={"to": ["embedded"]},
    )
    assert text_of(await chunks_of(models.direct(scope), SAY)).strip() == "Still here."
    assert scope.meter.degraded


async def test_models_can_be_asked_by_name(peer, make_models, scope):
    models = make_models(base_url=peer.url, model="test-model", models={"twin": {"served_name": "test-model"}})
    assert models.offered({"everyone"}) == ("direct",)
    await models.direct(scope, model="twin").complete(SAY)
    assert peer.requests[-1].body["model"] == "test-model"


async def test_a_thousand_chunks_cost_little(peer, direct):
    peer.script = Script(pieces=["word "] * 1000)
    await chunks_of(direct, SAY)
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(chunks_of(direct, SAY) for _ in range(4)))
    # A bound against accidents, far above what it takes: the peer's own cost is in it.
    assert (time.process_time() - cpu) / 4000 < 0.002
    assert time.perf_counter() - started < 8
