"""Which model serves which purpose, what stands in for it, and what settings are refused."""

import asyncio

import pytest
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from pydantic import SecretStr, ValidationError

from inference.client import RemoteChatClient
from inference.contracts import Models
from inference.settings import InferenceSettings
from runs.events import TokenUsage
from signalbox.errors import BudgetSpent, NotFound, UpstreamDown
from tests.inference.conftest import scope_for
from tests.inference.peer import Peer, Script
from tests.inference.scripted import ScriptedClient

ASK = [UserMessage(content="Hello?", source="user")]
GONE = "http://127.0.0.1:9"


def embedded(scope):
    return ScriptedClient(scope, "From the embedded engine.")


async def test_without_a_server_every_purpose_is_the_embedded_engine(make_models, scope):
    models = make_models(embedded=embedded)
    for purpose in ("planner", "specialist", "synthesiser", "reviewer", "direct", "batch"):
        assert models.engine(purpose) == "embedded"
    assert (await models.client("planner", scope).create(ASK)).content == "From the embedded engine."
    assert scope.meter.engines == {"embedded"}
    assert not scope.meter.degraded
    assert await models.health() == {}


async def test_purposes_choose_models_and_parameters(peer, second_peer, make_models):
    peer.models, second_peer.models = ["small"], ["large"]
    models: Models = make_models(
        backends=[{"name": "a", "base_url": peer.url}, {"name": "b", "base_url": second_peer.url}],
        models={
            "large": {"served_name": "large", "backends": ["b"], "parameters": {"temperature": 0.3}},
            "small": {"served_name": "small", "backends": ["a"]},
        },
        purposes={"planner": {"model": "small", "parameters": {"chat_template_kwargs": {"enable_thinking": False}}}},
    )
    assert (models.engine("planner"), models.engine("synthesiser")) == ("small", "large")
    await models.client("planner", scope_for()).create(ASK)
    await models.client("synthesiser", scope_for()).create(ASK)
    assert peer.requests[0].body["chat_template_kwargs"] == {"enable_thinking": False}
    assert second_peer.requests[0].body["temperature"] == 0.3
    assert [len(peer.requests), len(second_peer.requests)] == [1, 1]


async def test_a_dead_server_is_an_error_unless_a_fallback_is_allowed(make_models, scope, registry):
    client = make_models(embedded=embedded, base_url=GONE, model="big").client("synthesiser", scope)
    with pytest.raises(UpstreamDown, match=r"The model 'big' at http://127\.0\.0\.1:9 does not answer"):
        await client.create(ASK)
    assert scope.meter.usage == TokenUsage()
    assert not scope.meter.degraded


@pytest.mark.parametrize("streamed", [True, False])
async def test_an_allowed_fallback_answers_and_the_run_is_degraded(make_models, scope, registry, streamed):
    models = make_models(embedded=embedded, base_url=GONE, model="big", fallback={"to": ["embedded"]})
    client = models.client("synthesiser", scope)
    if streamed:
        result = [piece async for piece in client.create_stream(ASK)][-1]
    else:
        result = await client.create(ASK)
    assert isinstance(result, CreateResult)
    assert result.content == "From the embedded engine."
    assert scope.meter.degraded
    assert scope.meter.engines == {"embedded"}
    assert scope.meter.usage.model_calls == 1
    labels = {"purpose": "synthesiser", "model": "embedded"}
    assert registry.get_sample_value("signalbox_inference_fallbacks_total", labels) == 1


async def test_another_model_may_stand_in(peer, make_models, scope):
    models = make_models(
        backends=[{"name": "gone", "base_url": GONE}, {"name": "here", "base_url": peer.url}],
        models={
            "large": {"served_name": "large", "backends": ["gone"]},
            "small": {"served_name": "test-model", "backends": ["here"]},
        },
        fallback={"to": ["small"]},
    )
    assert (await models.client("direct", scope).create(ASK)).content == "Hello from the peer."
    assert scope.meter.degraded
    assert scope.meter.engines == {"test-model"}


async def test_a_busy_model_is_replaced_only_when_the_policy_says_so(peer, make_models, scope):
    peer.script = Script(status=429)
    settings = {"base_url": peer.url, "model": "test-model"}
    strict = make_models(embedded=embedded, fallback={"to": ["embedded"]}, **settings)
    with pytest.raises(BudgetSpent):
        await strict.client("direct", scope).create(ASK)


async def test_a_stream_that_broke_midway_is_not_continued_by_another_model(peer, make_models, scope):
    peer.script = Script(crash="middle")
    models = make_models(embedded=embedded, base_url=peer.url, model="test-model", fallback={"to": ["embedded"]})
    pieces = []
    with pytest.raises(UpstreamDown, match="failed during the answer"):
        async for piece in models.client("direct", scope).create_stream(ASK):
            pieces.append(piece)
    assert "embedded" not in "".join(pieces)


async def test_clients_are_light_and_closing_one_closes_nothing(peer, make_models, scope):
    models = make_models(base_url=peer.url, model="test-model")
    first, second = models.client("direct", scope), models.client("direct", scope)
    assert isinstance(first, RemoteChatClient)
    await first.close()
    assert (await second.create(ASK)).content == "Hello from the peer."
    assert second.total_usage() == second.actual_usage() == RequestUsage(prompt_tokens=11, completion_tokens=4)
    assert second.remaining_tokens(ASK) < 32_768


def test_building_models_and_clients_needs_no_running_loop(registry, scope):
    from inference.router import RoutedModels

    models = RoutedModels(InferenceSettings(base_url=GONE), embedded=embedded, registry=registry)
    assert models.client("direct", scope)


async def test_a_prediction_model_that_is_not_set_up_is_named(make_models):
    with pytest.raises(NotFound, match=r"'embed' is not in inference\.models"):
        make_models(embedded=embedded).embeddings("embed")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"base_url": "localhost:8000"}, "is not an http"),
        ({"purposes": {"planner": "ghost"}}, "Unknown models"),
        ({"fallback": {"to": ["ghost"]}}, "Unknown models"),
        ({"base_url": GONE, "models": {"m": {"backends": ["ghost"]}}}, "unknown backends"),
        ({"models": {"m": {}}}, "nowhere to run"),
        ({"backends": [{"base_url": GONE}, {"base_url": GONE}]}, "same name"),
        ({"purposes": {"poet": "embedded"}}, "planner"),
        ({"base_urll": GONE}, "Extra inputs"),
        ({"base_url": GONE, "models": {"m": {"parameters": {"stream": True}}}}, "may not set"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_reason(settings, says):
    with pytest.raises(ValidationError, match=says):
        InferenceSettings.model_validate(settings)


def test_settings_hide_keys_and_accept_urls_as_people_write_them():
    settings = InferenceSettings(base_url=" http://gpu:8000/v1/ ", api_key=SecretStr("sk-secret"))
    assert settings.all_backends()[0].base_url == "http://gpu:8000"
    assert "sk-secret" not in repr(settings)
    assert InferenceSettings(base_url="").all_models() == {}


async def test_a_server_that_starts_after_us_is_found(make_models, scope):
    peer = await Peer().start()
    port = peer.port
    await peer.stop()
    models = make_models(base_url=f"http://127.0.0.1:{port}", model="test-model", probes={"sick_interval_s": 0.05})
    await models.start()
    with pytest.raises(UpstreamDown):
        await models.client("direct", scope).create(ASK)
    await peer.start()
    try:
        async with asyncio.timeout(2):
            while models._fleet.replicas["default"].trouble:
                await asyncio.sleep(0.01)
        assert (await models.client("direct", scope).create(ASK)).content == "Hello from the peer."
    finally:
        await peer.stop()
