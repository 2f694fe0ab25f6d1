"""Stop means stop: whoever cancels, in whatever phase, the peer sees the request close at once."""

import asyncio
import time
from contextlib import aclosing

import pytest
from autogen_core import CancellationToken
from autogen_core.models import UserMessage

from tests.inference.conftest import scope_for
from tests.inference.peer import Script

ASK = [UserMessage(content="Hello?", source="user")]
PHASES = {
    "head": Script(hang="head"),
    "first token": Script(hang="first"),
    "first token with keep-alives": Script(hang="first", keep_alive_s=0.02),
    "between chunks": Script(hang="middle"),
    "between chunks with keep-alives": Script(hang="middle", keep_alive_s=0.02),
    "flowing": Script(pieces=["word "] * 2000, between_s=0.005),
}


async def seen(condition, what):
    """How long it took, in seconds, until the peer saw it."""
    started = time.perf_counter()
    while not condition():
        assert time.perf_counter() - started < 1, f"The peer did not see {what} within a second."
        await asyncio.sleep(0.002)
    return time.perf_counter() - started


async def consume(client, how, token=None):
    if how == "create":
        await client.create(ASK, cancellation_token=token)
    else:
        async for _ in client.create_stream(ASK, cancellation_token=token):
            pass


@pytest.mark.parametrize("by", ["token", "task"])
@pytest.mark.parametrize("phase", PHASES)
async def test_cancelling_a_stream_closes_it_at_the_peer(peer, make_models, scope, phase, by):
    peer.script = PHASES[phase]
    client = make_models(base_url=peer.url, model="test-model").client("synthesiser", scope)
    token = CancellationToken()
    task = asyncio.create_task(consume(client, "stream", token))
    await seen(lambda: peer.in_flight == 1, "the request")
    await asyncio.sleep(0.05)
    token.cancel() if by == "token" else task.cancel()
    await seen(lambda: peer.disconnects == 1, "the disconnect")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert peer.in_flight == 0


@pytest.mark.parametrize("by", ["token", "task"])
async def test_cancelling_a_whole_answer_closes_it_at_the_peer(peer, make_models, scope, by):
    peer.script = Script(hang="head")
    client = make_models(base_url=peer.url, model="test-model").client("planner", scope)
    token = CancellationToken()
    task = asyncio.create_task(consume(client, "create", token))
    await seen(lambda: peer.in_flight == 1, "the request")
    token.cancel() if by == "token" else task.cancel()
    await seen(lambda: peer.disconnects == 1, "the disconnect")
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_closing_the_generator_closes_the_request(peer, make_models, scope):
    peer.script = PHASES["flowing"]
    client = make_models(base_url=peer.url, model="test-model").client("direct", scope)
    async with aclosing(client.create_stream(ASK)) as stream:
        async for _ in stream:
            break
    await seen(lambda: peer.disconnects == 1, "the disconnect")


async def test_a_token_closes_the_request_while_the_consumer_is_busy_elsewhere(peer, make_models, scope):
    peer.script = PHASES["flowing"]
    client = make_models(base_url=peer.url, model="test-model").client("direct", scope)
    token = CancellationToken()
    stream = client.create_stream(ASK, cancellation_token=token)
    await anext(stream)
    token.cancel()  # nobody is reading at this moment
    await seen(lambda: peer.disconnects == 1, "the disconnect")
    with pytest.raises(asyncio.CancelledError):
        async for _ in stream:
            pass


async def test_a_direct_stream_closes_with_its_consumer(peer, make_models, scope):
    peer.script = PHASES["flowing"]
    direct = make_models(base_url=peer.url, model="test-model").direct(scope)
    body = {"messages": [{"role": "user", "content": "hi"}]}
    async with aclosing(direct.stream(body)) as batches:
        async for _ in batches:
            break
    await seen(lambda: peer.disconnects == 1, "the disconnect")


async def test_a_place_in_the_queue_is_given_back_when_its_owner_leaves(peer, make_models, scope):
    peer.script = Script(hang="head")
    models = make_models(base_url=peer.url, model="test-model", limits={"max_in_flight_per_backend": 1})
    first = asyncio.create_task(consume(models.client("direct", scope), "create"))
    await seen(lambda: peer.in_flight == 1, "the first request")
    token = CancellationToken()
    waiting = asyncio.create_task(consume(models.client("direct", scope), "create", token))
    await asyncio.sleep(0.02)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    peer.script = Script()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await models.client("direct", scope).create(ASK)
    assert len(peer.requests) == 2


async def test_what_was_streamed_before_a_cancel_is_metered(peer, make_models):
    peer.script = Script(pieces=["word "] * 50, between_s=0.002)
    scope = scope_for()
    client = make_models(base_url=peer.url, model="test-model").client("direct", scope)
    got = 0
    async with aclosing(client.create_stream(ASK)) as stream:
        async for _ in stream:
            got += 1
            if got == 10:
                break
    assert 10 <= scope.meter.usage.completion_tokens <= 20
    assert scope.meter.usage.prompt_tokens == 11
    assert scope.meter.usage.model_calls == 1


async def test_a_server_that_reports_usage_only_at_the_end_is_counted_by_us(peer, make_models):
    peer.script = Script(pieces=["word "] * 50, between_s=0.002)
    scope = scope_for()
    models = make_models(base_url=peer.url, models={"m": {"dialect": "openai"}}, purposes={"direct": "m"})
    async with aclosing(models.client("direct", scope).create_stream(ASK)) as stream:
        for _ in range(10):
            await anext(stream)
    assert 10 <= scope.meter.usage.completion_tokens <= 20
    assert scope.meter.usage.prompt_tokens > 0
    assert "continuous_usage_stats" not in peer.requests[-1].body["stream_options"]


async def test_nothing_is_left_behind_by_many_cancelled_calls(peer, make_models, scope):
    peer.script = PHASES["flowing"]
    models = make_models(base_url=peer.url, model="test-model")
    for how in ("stream", "create"):
        tasks = [asyncio.create_task(consume(models.client("direct", scope), how)) for _ in range(20)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await seen(lambda: peer.in_flight == 0, "every disconnect")
    peer.script = Script()
    assert (await models.client("direct", scope).create(ASK)).content == "Hello from the peer."
