"""Several backends of one model: which one is asked, what happens when it fails, and when it is left alone."""

import asyncio

import pytest
from autogen_core.models import CreateResult, UserMessage

from inference.backends.breaker import Breaker
from inference.settings import BreakerSettings
from signalbox.errors import BudgetSpent, UpstreamDown
from tests.inference.conftest import scope_for
from tests.inference.peer import Peer, Script

ASK = [UserMessage(content="Hello?", source="user")]
FAST = {"interval_s": 0.05, "sick_interval_s": 0.05, "failures_until_sick": 1}


def two(peer, second_peer, **settings):
    backends = [{"name": "one", "base_url": peer.url}, {"name": "two", "base_url": second_peer.url}]
    return {"backends": backends, "models": {"m": {"served_name": "test-model"}}, **settings}


async def ask(models, conversation="conv_1"):
    scope = scope_for(conversation)
    pieces: list[str] = []
    async for piece in models.client("direct", scope).create_stream(ASK):
        if isinstance(piece, CreateResult):
            return piece.content
        pieces.append(piece)
    return "".join(pieces)


async def until(condition, what, limit_s=2.0):
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.005)
    assert condition(), what


async def test_a_conversation_stays_with_its_backend_and_conversations_spread(peer, second_peer, make_models):
    models = make_models(**two(peer, second_peer))
    for _ in range(4):
        await ask(models, "conv_1")
    assert sorted((len(peer.requests), len(second_peer.requests))) == [0, 4]
    for number in range(40):
        await ask(models, f"conv_{number}")
    assert min(len(peer.requests), len(second_peer.requests)) >= 8


async def test_a_loaded_backend_spills_to_the_other(peer, second_peer, make_models):
    peer.script = second_peer.script = Script(between_s=0.05)
    models = make_models(**two(peer, second_peer))
    await asyncio.gather(*(ask(models, "conv_1") for _ in range(24)))
    assert min(len(peer.requests), len(second_peer.requests)) >= 6


async def test_a_backend_killed_under_64_streams_costs_no_call_that_had_no_token_yet(peer, second_peer, make_models):
    slow_start = Script(first_token_s=0.3, pieces=["word "] * 20, between_s=0.01)
    peer.script = second_peer.script = slow_start
    models = make_models(**two(peer, second_peer))
    tasks = [asyncio.create_task(ask(models, f"conv_{number}")) for number in range(64)]
    await until(lambda: peer.in_flight + second_peer.in_flight == 64, "all are under way")
    assert peer.in_flight > 10
    await peer.stop()
    answers = await asyncio.gather(*tasks)
    assert answers == ["word " * 20] * 64


async def test_a_backend_killed_after_the_first_token_ends_its_streams_clearly(peer, second_peer, make_models):
    peer.script = second_peer.script = Script(pieces=["word "] * 100, between_s=0.01)
    models = make_models(**two(peer, second_peer))
    tasks = [asyncio.create_task(ask(models, f"conv_{number}")) for number in range(64)]
    await until(lambda: peer.in_flight + second_peer.in_flight == 64, "all are under way")
    await asyncio.sleep(0.5)
    there = peer.in_flight
    await peer.stop()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [end for end in ends if isinstance(end, BaseException)]
    assert len(failed) == there > 10
    assert all(isinstance(end, UpstreamDown) and "'one' failed during the answer" in end.message for end in failed)
    assert {end for end in ends if isinstance(end, str)} == {"word " * 100}


@pytest.mark.parametrize(
    "fault",
    [
        Script(status=500, message="engine dead"),
        Script(status=503),
        Script(status=404, message="no such model"),
        Script(crash="head"),
        Script(crash="first"),
        Script(raw=b"data: {broken\n\n"),
        Script(raw=b'data: {"error": {"message": "engine dead", "code": 500}}\n\n'),
        Script(raw=b""),
        Script(raw=b'data: "text"\n\n'),
        Script(error_after=1),
        Script(hang="first"),
        Script(hang="head"),
        Script(hang="first", keep_alive_s=0.02),
    ],
    ids=repr,
)
async def test_whatever_fails_before_the_first_token_is_answered_by_the_other(peer, second_peer, make_models, fault):
    models = make_models(**two(peer, second_peer, timeouts={"first_token_s": 0.2}))
    await ask(models)
    preferred, other = (peer, second_peer) if peer.requests else (second_peer, peer)
    preferred.script = fault
    assert await ask(models) == "Hello from the peer."
    assert (len(preferred.requests), len(other.requests)) == (2, 1)


async def test_a_whole_answer_fails_over_too(peer, second_peer, make_models, scope):
    models = make_models(**two(peer, second_peer, timeouts={"whole_answer_s": 0.3}))
    for fault in (Script(crash="head"), Script(hang="head"), Script(raw=b"{cut"), Script(status=500)):
        peer.script, second_peer.script = fault, Script()
        assert (await models.client("planner", scope).create(ASK)).content == "Hello from the peer."


async def test_a_single_backend_is_asked_once_more(peer, make_models):
    turns = iter([Script(crash="head"), Script()])
    peer.script = lambda _body: next(turns)
    models = make_models(base_url=peer.url, model="test-model")
    assert await ask(models) == "Hello from the peer."


async def test_a_backend_that_hangs_is_not_waited_for_twice(peer, make_models):
    peer.script = Script(hang="first")
    models = make_models(base_url=peer.url, model="test-model", timeouts={"first_token_s": 0.1})
    with pytest.raises(UpstreamDown, match=r"it sent nothing for 0\.1 s"):
        await ask(models)
    assert len(peer.requests) == 1


async def test_repeats_have_a_budget(peer, make_models):
    peer.script = Script(status=500)
    settings = {"retries": {"budget_burst": 2, "budget_share": 0, "backoff_s": 0}, "breaker": {"failures": 100}}
    models = make_models(base_url=peer.url, model="test-model", **settings)
    for _ in range(6):
        with pytest.raises(UpstreamDown, match="it answered 500: refused by the script"):
            await ask(models)
    assert len(peer.requests) == 6 + 2


async def test_a_busy_server_says_when_to_come_back(peer, make_models):
    peer.script = Script(status=503, headers={"Retry-After": "7"})
    models = make_models(base_url=peer.url, model="test-model")
    for _ in range(12):  # busy is not sick: the breaker stays closed
        with pytest.raises(BudgetSpent) as caught:
            await ask(models)
        assert caught.value.retry_after_s == 7
    assert len(peer.requests) == 12


async def test_a_breaker_opens_after_failures_and_closes_after_a_trial(peer, make_models, registry):
    peer.script = Script(status=500)
    settings = {"breaker": {"failures": 4, "open_s": 0.3}, "retries": {"budget_burst": 0}, "probes": {"interval_s": 60}}
    models = make_models(base_url=peer.url, model="test-model", **settings)
    for _ in range(4):
        with pytest.raises(UpstreamDown, match="it answered 500"):
            await ask(models)
    assert registry.get_sample_value("signalbox_inference_breaker_open", {"backend": "default"}) == 1
    for _ in range(5):
        with pytest.raises(UpstreamDown, match="resting after failures"):
            await ask(models)
    assert len(peer.requests) == 4
    await asyncio.sleep(0.35)
    peer.script = Script(first_token_s=0.1)
    trial = asyncio.create_task(ask(models))
    await until(lambda: peer.in_flight == 1, "the trial")
    with pytest.raises(UpstreamDown, match="resting"):
        await ask(models)  # one trial at a time
    assert await trial == "Hello from the peer."
    assert await ask(models) == "Hello from the peer."
    assert registry.get_sample_value("signalbox_inference_breaker_open", {"backend": "default"}) == 0


def test_a_breaker_forgets_failures_outside_its_window():
    now = 0.0
    breaker = Breaker(BreakerSettings(failures=3, window_s=10, open_s=5), clock=lambda: now)
    for now in (0.0, 8.0, 16.0, 24.0):  # noqa: B007 (the breaker's clock reads it)
        breaker.failed()
        assert breaker.state == "closed"
    breaker.failed()
    assert (breaker.state, breaker.ready) == ("open", False)
    now = 29.0
    assert (breaker.state, breaker.ready) == ("half-open", True)
    breaker.enter()
    assert not breaker.ready
    breaker.gave_up()
    assert breaker.ready
    breaker.enter()
    breaker.failed()
    assert (breaker.state, breaker.reopens_in_s) == ("open", 5)


async def test_a_sick_backend_is_drained_and_comes_back(peer, second_peer, make_models):
    models = make_models(**two(peer, second_peer, probes=FAST))
    await models.start()
    peer.healthy = False
    await until(lambda: "one" in drained(models), "drained")
    assert await models.health() == {"one": "down: /health says 503", "two": "up"}
    for number in range(10):
        await ask(models, f"conv_{number}")
    assert (len(peer.requests), len(second_peer.requests)) == (0, 10)
    peer.healthy = True
    await until(lambda: not drained(models), "back")
    for number in range(10):
        await ask(models, f"conv_{number}")
    assert len(peer.requests) > 0


def drained(models):
    return {name for name, replica in models._fleet.replicas.items() if not replica.usable}


async def test_a_backend_that_serves_another_model_is_not_asked(peer, second_peer, make_models):
    peer.models = ["something-else"]
    models = make_models(**two(peer, second_peer))
    await models.start()
    for number in range(10):
        await ask(models, f"conv_{number}")
    assert (len(peer.requests), len(second_peer.requests)) == (0, 10)


async def test_a_model_that_nobody_serves_is_named_with_those_that_are(peer, make_models):
    models = make_models(base_url=peer.url, model="big-model")
    await models.start()
    with pytest.raises(UpstreamDown, match="it serves test-model, not 'big-model'"):
        await ask(models)


async def test_a_server_that_is_not_there_is_named_with_what_to_do(make_models):
    async with Peer() as gone:
        url = gone.url
    models = make_models(base_url=f"{url}/v1/", model="test-model")
    with pytest.raises(UpstreamDown) as caught:
        await ask(models)
    message = str(caught.value)
    assert url in message
    assert "connection refused" in message
    assert "signalbox inference serve" in message
    assert caught.value.retry_after_s == 10
    assert (await models.health())["default"].startswith("down: ")


async def test_the_model_may_be_left_to_the_server(peer, make_models, scope):
    models = make_models(base_url=peer.url)
    client = models.client("direct", scope)
    assert (await client.create(ASK)).content == "Hello from the peer."
    assert peer.requests[-1].body["model"] == "test-model"
    assert models.engine("direct") == "test-model"
    assert scope.meter.engines == {"test-model"}


async def test_a_backend_on_trial_serves_what_has_failed_elsewhere(peer, second_peer, make_models):
    breaker = {"failures": 1, "open_s": 0.2}
    models = make_models(**two(peer, second_peer, breaker=breaker, probes={"interval_s": 60}))
    peer.script = Script(status=500)
    assert await asyncio.gather(*(ask(models, f"conv_{number}") for number in range(8))) == ["Hello from the peer."] * 8
    await asyncio.sleep(0.25)  # the first backend may be tried again
    peer.script = Script(first_token_s=0.5)
    waiting = [asyncio.create_task(ask(models, f"conv_{number}")) for number in range(8)]
    await until(lambda: peer.in_flight == 1, "the trial")
    second_peer.script = Script(crash="head")
    waiting += [asyncio.create_task(ask(models, f"conv_{number}")) for number in range(8)]
    assert await asyncio.gather(*waiting) == ["Hello from the peer."] * 16
