"""Servers that are slow, silent, or send what they should not: each ends clearly, and is metered truthfully."""

import asyncio
import time

import pytest
from autogen_core.models import UserMessage

from inference.contracts import UsageMeter
from inference.errors import ModelFault
from signalbox.errors import UpstreamDown
from tests.inference.conftest import scope_for
from tests.inference.peer import Script

ASK = [UserMessage(content="Hello?", source="user")]
CHUNK = b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": null}]}\n\n'
LAST = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'


async def read(models, scope):
    return [piece async for piece in models.client("direct", scope).create_stream(ASK)]


async def failing(models, scope):
    pieces = []
    with pytest.raises(UpstreamDown) as caught:
        async for piece in models.client("direct", scope).create_stream(ASK):
            pieces.append(piece)
    return pieces, caught.value


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (Script(raw=CHUNK + b'data: {"choices": [{"del'), "ended the stream in the middle"),
        (Script(raw=CHUNK), "ended the stream in the middle"),
        (Script(raw=CHUNK + b"data: {cut}\n\n" + LAST), "not valid JSON"),
        (Script(raw=CHUNK + b'data: {"choices": "\xff\xfe"}\n\n' + LAST), "not valid UTF-8"),
        (Script(raw=CHUNK + b"data: [1, 2]\n\n" + LAST), "not a JSON object"),
        (Script(raw=CHUNK + b'data: {"choices": [{"delta": {"content": 5}}]}\n\n' + LAST), "not a chat completion"),
        (Script(raw=CHUNK + b'data: {"choices": {"a": 1}}\n\n' + LAST), "not a chat completion"),
        (Script(raw=CHUNK + b'data: {"choices": [7]}\n\n' + LAST), "not a chat completion"),
        (Script(raw=CHUNK + b'data: {"error": {"message": "out of memory"}}\n\n'), "out of memory"),
        (Script(raw=CHUNK, crash="middle"), "failed during the answer"),
        (Script(crash="middle"), "failed during the answer"),
        (Script(hang="middle"), "it sent nothing for 0.2 s"),
        (Script(hang="middle", keep_alive_s=0.02), "it sent nothing for 0.2 s"),
    ],
    ids=lambda value: repr(value)[-60:],
)
async def test_a_stream_that_goes_wrong_after_its_first_token_ends_clearly(peer, make_models, scope, script, says):
    peer.script = script
    models = make_models(base_url=peer.url, model="test-model", timeouts={"between_chunks_s": 0.2})
    pieces, error = await failing(models, scope)
    assert pieces[0] in ("Hi", "Hello")
    assert says in str(error)
    assert scope.meter.usage.completion_tokens >= 1
    assert len(peer.requests) == 1


async def test_a_server_without_done_or_usage_is_understood(peer, make_models, scope):
    peer.script = Script(done=False, usage=None)
    pieces = await read(make_models(base_url=peer.url, model="test-model"), scope)
    assert pieces[-1].content == "Hello from the peer."
    assert scope.meter.usage.completion_tokens == 4
    assert scope.meter.usage.prompt_tokens > 0


async def test_a_slow_answer_is_stopped_at_its_total_limit(peer, make_models, scope):
    peer.script = Script(pieces=["word "] * 1000, between_s=0.01)
    models = make_models(base_url=peer.url, model="test-model", timeouts={"total_s": 0.3})
    started = time.perf_counter()
    _, error = await failing(models, scope)
    assert 0.25 < time.perf_counter() - started < 1
    assert "the whole answer took too long" in str(error)
    async with asyncio.timeout(1):
        while not peer.disconnects:
            await asyncio.sleep(0.01)


async def test_a_role_without_words_does_not_stop_the_clock_of_the_first_token(peer, make_models, scope):
    peer.script = Script(pieces=("late",), between_s=5)  # the role at once, the first word after 5 s
    models = make_models(
        base_url=peer.url, model="test-model", timeouts={"first_token_s": 0.2}, retries={"budget_burst": 0}
    )
    started = time.perf_counter()
    with pytest.raises(UpstreamDown, match=r"it sent nothing for 0\.2 s"):
        await read(models, scope)
    assert time.perf_counter() - started < 1


async def test_streams_that_break_midway_open_the_breaker_and_long_ones_do_not(peer, make_models, scope):
    settings = {"breaker": {"failures": 3}, "probes": {"interval_s": 60}}
    models = make_models(base_url=peer.url, model="test-model", timeouts={"total_s": 0.1}, **settings)
    peer.script = Script(pieces=["word "] * 1000, between_s=0.01)
    for _ in range(4):
        await failing(models, scope)
    peer.script = Script(crash="middle")
    for _ in range(3):
        await failing(models, scope)
    with pytest.raises(UpstreamDown, match="resting after failures"):
        await read(models, scope)


async def test_a_slow_reader_of_ours_does_not_make_the_server_late(peer, make_models, scope):
    peer.script = Script(pieces=["word "] * 5, between_s=0.01)
    models = make_models(base_url=peer.url, model="test-model", timeouts={"between_chunks_s": 0.1})
    count = 0
    async for _ in models.client("direct", scope).create_stream(ASK):
        count += 1
        await asyncio.sleep(0.15)
    assert count == 6


@pytest.mark.parametrize(
    ("lie", "completion"),
    [
        ({"prompt_tokens": -5, "completion_tokens": 4}, 4),
        ({"prompt_tokens": 11, "completion_tokens": -1}, 4),
        ({"prompt_tokens": "many", "completion_tokens": 4}, 4),
        ({"prompt_tokens": 11, "completion_tokens": 10**12}, 4),
        ({"prompt_tokens": 11, "completion_tokens": 0}, 4),
        ({"prompt_tokens": 11, "completion_tokens": True}, 4),
        ({"prompt_tokens": 11, "completion_tokens": 3}, 3),
    ],
)
async def test_usage_that_cannot_be_true_is_replaced_by_our_count(peer, make_models, registry, lie, completion):
    peer.script = Script(usage=lie)
    scope = scope_for()
    await read(make_models(base_url=peer.url, model="test-model"), scope)
    assert scope.meter.usage.completion_tokens == completion
    assert scope.meter.usage.prompt_tokens > 0
    labels = {"purpose": "direct", "model": "test-model"}
    doubted = registry.get_sample_value("signalbox_inference_doubtful_usage_total", labels) or 0
    assert doubted == (0 if completion == 3 else 1)


async def test_more_tokens_than_were_allowed_are_not_believed(peer, make_models, scope):
    peer.script = Script(usage={"prompt_tokens": 11, "completion_tokens": 5000})
    client = make_models(base_url=peer.url, model="test-model").client("direct", scope)
    await client.create(ASK, extra_create_args={"max_tokens": 100})
    assert scope.meter.usage.completion_tokens <= 100


async def test_cached_tokens_and_cost_are_booked_by_the_prices(peer, make_models, scope):
    details = {"prompt_tokens_details": {"cached_tokens": 600}}
    peer.script = Script(usage={"prompt_tokens": 1000, "completion_tokens": 4, **details})
    price = {"input_per_million": 2, "cached_input_per_million": 0.5, "output_per_million": 10}
    models = make_models(base_url=peer.url, model="test-model", price=price)
    await models.client("direct", scope).create(ASK)
    assert scope.meter.usage.cached_tokens == 600
    assert scope.meter.cost == pytest.approx((400 * 2 + 600 * 0.5 + 4 * 10) / 1e6)
    booked = scope.meter.purposes["direct"]
    assert (booked.cached_tokens, booked.model_calls, booked.cost) == (600, 1, scope.meter.cost)


async def test_a_reply_larger_than_the_limit_is_not_read(peer, make_models, scope):
    peer.script = Script(pieces=("x" * 100_000,))
    models = make_models(base_url=peer.url, model="test-model", limits={"max_response_bytes": 50_000})
    with pytest.raises(UpstreamDown, match="larger than 50000 bytes"):
        await models.client("planner", scope).create(ASK)


async def test_a_redirect_is_not_followed(peer, make_models, scope):
    peer.script = Script(status=307, headers={"Location": f"{peer.url}/v1/elsewhere"})
    with pytest.raises(UpstreamDown, match="it answered 307"):
        await make_models(base_url=peer.url, model="test-model").client("direct", scope).create(ASK)
    assert {request.path for request in peer.requests} == {"/v1/chat/completions"}


def test_a_meter_knows_what_was_degraded_and_what_it_cost():
    meter = UsageMeter()
    assert (meter.cost, meter.degraded, meter.truncated) == (0.0, False, set())


async def test_an_endless_event_is_refused(peer, make_models, scope):
    peer.script = Script(raw=CHUNK + b"data: " + b"x" * (9 * 1024 * 1024))
    with pytest.raises(ModelFault, match="larger than"):
        await read(make_models(base_url=peer.url, model="test-model"), scope)
