import asyncio
import json
from typing import Literal

import pytest
from autogen_core import CancellationToken, FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    SystemMessage,
    UserMessage,
)
from pydantic import BaseModel, ConfigDict, Field

from inference.errors import ModelFault
from signalbox.errors import Bug, NotFound, TooLarge, UserFault
from tests.inference.conftest import scope_for
from tests.inference.peer import Script

ASK = [UserMessage(content="Hello?", source="user")]
SEARCH = {
    "name": "knowledge__search",
    "description": "Find passages.",
    "parameters": {
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer", "minimum": 1, "maximum": 20}},
        "required": ["query"],
    },
}


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    verdict: Literal["release", "withhold"]
    reason: str = Field(max_length=500)


@pytest.fixture
def client(peer, make_models, scope):
    return make_models(base_url=peer.url, model="test-model").client("specialist", scope)


async def collect(stream):
    pieces = [piece async for piece in stream]
    return pieces[:-1], pieces[-1]


class InTurn:
    """Answers the first request with the first script, the next with the next, and so on."""

    def __init__(self, *scripts):
        self._scripts = list(scripts)

    def __call__(self, _body):
        return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]


async def test_streams_text_then_one_result_with_usage(peer, client, scope):
    pieces, result = await collect(client.create_stream(ASK))
    assert pieces == ["Hello", " from", " the", " peer."]
    assert isinstance(result, CreateResult)
    assert (result.content, result.finish_reason) == ("Hello from the peer.", "stop")
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (11, 4)
    assert scope.meter.usage.model_dump() == {
        "prompt_tokens": 11,
        "completion_tokens": 4,
        "cached_tokens": 0,
        "model_calls": 1,
    }
    assert scope.meter.engines == {"test-model"}
    assert not scope.meter.degraded
    assert peer.requests[-1].body["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


async def test_a_whole_answer_is_not_streamed(peer, client, scope):
    result = await client.create(ASK)
    assert result.content == "Hello from the peer."
    assert "stream" not in peer.requests[-1].body
    assert scope.meter.usage.completion_tokens == 4


@pytest.mark.parametrize("cut", [1, 2, 7, 100])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
async def test_chunks_cut_anywhere_give_the_same_text(peer, client, cut, line_end):
    peer.script = Script(pieces=("Grüße\u2028", "an ", "🚲 alle"), cut_bytes=cut, line_end=line_end)
    pieces, result = await collect(client.create_stream(ASK))
    assert pieces == ["Grüße\u2028", "an ", "🚲 alle"]
    assert result.content == "Grüße\u2028an 🚲 alle"


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_is_thought_and_never_text(peer, client, field):
    peer.script = Script(reasoning=("Let me", " see"), reasoning_field=field, pieces=("Four.",))
    pieces, streamed = await collect(client.create_stream(ASK))
    whole = await client.create(ASK)
    assert pieces == ["Four."]
    assert [(r.content, r.thought) for r in (streamed, whole)] == [("Four.", "Let me see")] * 2


async def test_messages_are_sent_without_agents_names(peer, client):
    pixel = Image.from_base64(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    call = FunctionCall(id="c1", name="knowledge__search", arguments='{"query": "x"}')
    await client.create(
        [
            SystemMessage(content="Rules."),
            UserMessage(content=["Look", pixel], source="ada"),
            AssistantMessage(content=[call], thought="I should search", source="knowledge"),
            FunctionExecutionResultMessage(
                content=[FunctionExecutionResult(content="found", name="knowledge__search", call_id="c1")]
            ),
            AssistantMessage(content="Done.", thought="hm", source="knowledge"),
        ]
    )
    sent = peer.requests[-1].body["messages"]
    assert sent[1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    sent[1]["content"][1] = "…"
    assert sent == [
        {"role": "system", "content": "Rules."},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, "…"]},
        {
            "role": "assistant",
            "content": None,
            "reasoning": "I should search",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "knowledge__search", "arguments": '{"query": "x"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        {"role": "assistant", "content": "Done."},
    ]


async def test_what_only_vllm_understands_is_sent_to_vllm_alone(peer, make_models):
    scope = scope_for(priority=3)
    models = make_models(
        base_url=peer.url,
        models={"plain": {"served_name": "test-model", "dialect": "openai"}},
        purposes={"batch": "plain"},
    )
    await models.client("direct", scope).create(ASK, extra_create_args={"temperature": 0, "max_tokens": 7})
    body = peer.requests[-1].body
    assert (body["priority"], body["temperature"], body["max_tokens"], body["model"]) == (3, 0, 7, "test-model")
    assert len(body["cache_salt"]) == 32
    await models.client("direct", scope_for(tenant="other")).create(ASK)
    assert peer.requests[-1].body["cache_salt"] != body["cache_salt"]
    await models.client("batch", scope).create(ASK)
    assert not {"priority", "cache_salt"} & peer.requests[-1].body.keys()


async def test_session_and_request_ids_are_opaque(peer, client):
    await client.create(ASK)
    await client.create(ASK)
    first, second = (request.headers for request in peer.requests)
    assert first["X-Session-ID"] == second["X-Session-ID"]
    assert "conv_1" not in first["X-Session-ID"]
    assert first["X-Request-Id"] != second["X-Request-Id"]


async def test_reserved_arguments_are_refused(client):
    with pytest.raises(Bug, match="stream"):
        await client.create(ASK, extra_create_args={"stream": True})


async def test_tools_are_sent_strict_and_closed(peer, client):
    peer.script = Script(pieces=(), calls=[("knowledge__search", '{"query": "leave", "limit": 3}')])
    _, result = await collect(client.create_stream(ASK, tools=[SEARCH], tool_choice="required"))
    assert result.content == [FunctionCall(id="c0", name="knowledge__search", arguments='{"query":"leave","limit":3}')]
    assert result.finish_reason == "function_calls"
    sent = peer.requests[-1].body
    assert sent["tool_choice"] == "required"
    assert sent["tools"][0]["function"]["strict"] is True
    assert sent["tools"][0]["function"]["parameters"]["additionalProperties"] is False
    assert "additionalProperties" not in SEARCH["parameters"]


async def test_several_calls_keep_their_order_and_text_beside_them_is_thought(peer, client):
    calls = [("knowledge__search", '{"query": "a"}'), ("knowledge__search", '{"query": "b"}')]
    peer.script = Script(pieces=("I will ", "search."), calls=calls)
    pieces, result = await collect(client.create_stream(ASK, tools=[SEARCH]))
    assert [call.arguments for call in result.content] == ['{"query":"a"}', '{"query":"b"}']
    assert "".join(pieces) == result.thought == "I will search."
    whole = await client.create(ASK, tools=[SEARCH], extra_create_args={"parallel_tool_calls": False})
    assert [call.arguments for call in whole.content] == ['{"query":"a"}']


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"query": 5}', "$.query: 5 is not of type 'string'"),
        ('{"limit": 3}', "'query' is a required property"),
        ('{"query": "x", "limit": 99}', "99 is greater than the maximum of 20"),
        ("[1]", "must be a JSON object, not a list"),
        ("Infinity", "is not valid JSON"),
        ('{"query": NaN}', "is not valid JSON"),
        ('{"query": "x"', "is not valid JSON"),
    ],
)
async def test_bad_arguments_are_repeated_once_with_the_error(peer, client, scope, streamed, arguments, told):
    peer.script = InTurn(
        Script(pieces=(), calls=[("knowledge__search", arguments)]),
        Script(pieces=(), calls=[("knowledge__search", '{"query": "good"}')]),
    )
    if streamed:
        _, result = await collect(client.create_stream(ASK, tools=[SEARCH]))
    else:
        result = await client.create(ASK, tools=[SEARCH])
    assert result.content[0].arguments == '{"query":"good"}'
    assert len(peer.requests) == 2
    assert told in peer.requests[1].body["messages"][-1]["content"]
    assert scope.meter.usage.model_calls == 2


async def test_arguments_bad_twice_are_an_error_that_says_so(peer, client, registry):
    peer.script = Script(pieces=(), calls=[("knowledge__search", "{}")])
    with pytest.raises(ModelFault, match=r"answered twice with something invalid: .*'query' is a required property"):
        await client.create(ASK, tools=[SEARCH])
    labels = {"purpose": "specialist", "model": "test-model", "kind": "tool_arguments"}
    assert registry.get_sample_value("signalbox_inference_invalid_outputs_total", labels) == 2


async def test_a_tool_that_does_not_exist_is_told_with_those_that_do(peer, client):
    peer.script = InTurn(Script(pieces=(), calls=[("shell__run", "{}")]), Script(pieces=("No.",)))
    assert (await client.create(ASK, tools=[SEARCH])).content == "No."
    assert "There is no tool 'shell__run'" in peer.requests[1].body["messages"][-1]["content"]


async def test_a_schema_that_points_outside_itself_is_never_fetched(peer, client):
    reference = {"name": "t", "parameters": {"type": "object", "properties": {"a": {"$ref": f"{peer.url}/schema"}}}}
    peer.script = Script(pieces=(), calls=[("t", '{"a": 1}')])
    with pytest.raises(UserFault, match="refers to"):
        await client.create(ASK, tools=[reference])
    assert [request.path for request in peer.requests] == ["/v1/chat/completions"]


async def test_no_call_where_one_was_required_is_an_error(peer, client):
    peer.script = Script(pieces=("I would rather talk.",))
    with pytest.raises(ModelFault, match="No tool call came"):
        await client.create(ASK, tools=[SEARCH], tool_choice="required")
    assert len(peer.requests) == 2


async def test_an_empty_list_of_tool_calls_is_an_error(peer, client):
    peer.script = Script(pieces=(), finish_reason="tool_calls")
    with pytest.raises(ModelFault, match="No tool call came"):
        await collect(client.create_stream(ASK, tools=[SEARCH]))


async def test_structured_answers_are_validated_and_come_in_one_piece(peer, client):
    peer.script = Script(pieces=('{"verdict": "rel', 'ease", "reason": "fine"}'))
    pieces, result = await collect(client.create_stream(ASK, json_output=Verdict))
    assert pieces == [result.content] == ['{"verdict":"release","reason":"fine"}']
    sent = peer.requests[-1].body["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["strict"] is True
    # xgrammar compiles a bounded string to one without escapes: the bound is checked here, not sent.
    assert sent["json_schema"]["schema"]["properties"]["reason"] == {"title": "Reason", "type": "string"}


@pytest.mark.parametrize(
    "raw",
    [
        '```json\n{"verdict": "release", "reason": "a"}\n```',
        '{"verdict": "release", "reason": "a"}  ',
    ],
)
async def test_harmless_decoration_of_json_is_tolerated(peer, client, raw):
    peer.script = Script(pieces=(raw,))
    assert (await client.create(ASK, json_output=Verdict)).content == '{"verdict":"release","reason":"a"}'
    assert len(peer.requests) == 1


async def test_raw_control_characters_in_strings_are_tolerated(peer, client):
    peer.script = Script(pieces=('{"verdict": "release", "reason": "a\tb"}',))
    assert json.loads((await client.create(ASK, json_output=Verdict)).content)["reason"] == "a\tb"


async def test_a_structured_answer_that_does_not_fit_is_repeated_once(peer, client):
    good = Script(pieces=('{"verdict": "withhold", "reason": "r"}',))
    peer.script = InTurn(Script(pieces=('{"verdict": "maybe", "reason": "r"}',)), good)
    result = await client.create(ASK, json_output=Verdict)
    assert Verdict.model_validate_json(result.content).verdict == "withhold"
    told = peer.requests[1].body["messages"][-2:]
    assert told[0] == {"role": "assistant", "content": '{"verdict": "maybe", "reason": "r"}'}
    assert "verdict: Input should be 'release' or 'withhold'" in told[1]["content"]


async def test_a_structured_answer_that_was_cut_off_is_an_error(peer, client):
    peer.script = Script(pieces=('{"verdict": "rel',), finish_reason="length")
    with pytest.raises(ModelFault, match="cut off at its token limit"):
        await client.create(ASK, json_output=Verdict)
    assert len(peer.requests) == 1


async def test_text_that_was_cut_off_says_so(peer, client, scope):
    peer.script = Script(pieces=("The first", " half"), finish_reason="length")
    result = await client.create(ASK)
    assert (result.content, result.finish_reason) == ("The first half", "length")
    assert scope.meter.truncated == {"specialist"}


async def test_an_empty_answer_is_an_error_after_one_repeat(peer, client):
    peer.script = Script(pieces=())
    with pytest.raises(ModelFault, match="The reply was empty"):
        await client.create(ASK)
    assert len(peer.requests) == 2


async def test_a_refused_request_is_never_repeated(peer, client):
    peer.script = Script(status=400, message="temperature must be non-negative")
    with pytest.raises(UserFault, match="temperature must be non-negative"):
        await client.create(ASK)
    peer.script = Script(status=400, message="This model's maximum context length is 2048 tokens")
    with pytest.raises(TooLarge, match="maximum context length"):
        await client.create(ASK)
    assert len(peer.requests) == 2


async def test_what_is_not_a_completion_is_an_error(peer, client):
    for raw in (b"{}", b'{"choices": []}', b'{"choices": [3]}', b'{"choices": [{"message": {"tool_calls": [1]}}]}'):
        peer.script = Script(raw=raw)
        with pytest.raises(ModelFault, match="not a chat completion"):
            await client.create(ASK)


async def test_an_unused_token_changes_nothing(peer, client):
    token = CancellationToken()
    pieces, _ = await collect(client.create_stream(ASK, cancellation_token=token))
    assert pieces == ["Hello", " from", " the", " peer."]
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.create(ASK, cancellation_token=token)
    assert len(peer.requests) == 1


async def test_an_unknown_model_name_is_not_found(make_models, peer, scope):
    with pytest.raises(NotFound, match="'nope' does not exist"):
        make_models(base_url=peer.url).direct(scope, model="nope")
