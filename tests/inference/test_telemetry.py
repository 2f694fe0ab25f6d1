"""One span, exact tokens and honest metrics for every call."""

import asyncio

import pytest
from autogen_core.models import UserMessage
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from inference.router import RoutedModels
from inference.settings import InferenceSettings
from signalbox.errors import UpstreamDown
from tests.inference.conftest import no_embedded
from tests.inference.peer import Script

ASK = [UserMessage(content="Hello?", source="user")]


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("test")


@pytest.fixture
async def models(peer, registry, tracer):
    settings = InferenceSettings.model_validate({"base_url": peer.url, "model": "test-model"})
    models = RoutedModels(settings, embedded=no_embedded, registry=registry, tracer=tracer)
    yield models
    await models.close()


async def test_each_call_is_one_span_and_the_server_gets_its_context(peer, models, scope, spans, tracer):
    with tracer.start_as_current_span("turn") as turn:
        [_ async for _ in models.client("planner", scope).create_stream(ASK)]
        assert trace.get_current_span() is turn
    chat, _ = spans.get_finished_spans()
    assert chat.name == "chat test-model"
    assert chat.parent.span_id == turn.get_span_context().span_id
    assert chat.attributes["gen_ai.usage.input_tokens"] == 11
    assert chat.attributes["gen_ai.usage.output_tokens"] == 4
    assert chat.attributes["signalbox.purpose"] == "planner"
    sent = peer.requests[-1].headers["traceparent"]
    assert sent.split("-")[1:3] == [f"{chat.context.trace_id:032x}", f"{chat.context.span_id:016x}"]


async def test_a_failed_and_a_cancelled_call_end_their_spans_as_errors(peer, models, scope, spans):
    peer.script = Script(status=500)
    with pytest.raises(UpstreamDown):
        await models.client("planner", scope).create(ASK)
    peer.script = Script(hang="head")
    task = asyncio.create_task(models.client("planner", scope).create(ASK))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    outcomes = [(span.attributes["signalbox.outcome"], span.status.status_code) for span in spans.get_finished_spans()]
    assert outcomes == [("failed", StatusCode.ERROR), ("cancelled", StatusCode.ERROR)]


async def test_metrics_say_who_asked_for_what_and_how_it_went(peer, models, scope, registry):
    client = models.client("synthesiser", scope)
    await client.create(ASK)
    [_ async for _ in client.create_stream(ASK)]
    peer.script = Script(status=400)
    with pytest.raises(Exception, match="refused"):
        await client.create(ASK)
    labels = {"purpose": "synthesiser", "model": "test-model"}

    def value(name, **more):
        return registry.get_sample_value(f"signalbox_inference_{name}", {**labels, **more})

    assert value("requests_total", outcome="ok") == 2
    assert value("requests_total", outcome="failed") == 1
    assert value("tokens_total", kind="prompt") == 22
    assert value("tokens_total", kind="completion") == 8
    assert value("first_token_seconds_count") == 1
    assert value("duration_seconds_count") == 3


async def test_a_call_that_reached_no_model_books_no_tokens(make_models, scope):
    models = make_models(base_url="http://127.0.0.1:9", model="test-model", retries={"backoff_s": 0})
    with pytest.raises(UpstreamDown):
        await models.client("direct", scope).create(ASK)
    assert scope.meter.usage.model_calls == 0
    assert scope.meter.engines == set()
