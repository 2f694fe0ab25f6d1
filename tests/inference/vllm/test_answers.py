"""What our client gets from a real vLLM: plans, tool calls, streams, figures; stopping stops the work there."""

import asyncio
import json

import pytest
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import CreateResult, UserMessage
from autogen_core.tools import ToolSchema
from jsonschema import validate
from pydantic import BaseModel, Field, create_model

from agents.contracts import Plan
from agents.plans import plan_schema
from tests.inference.conftest import scope_for

pytestmark = pytest.mark.vllm

SEARCH: ToolSchema = {
    "name": "search",
    "description": "Search the handbook.",
    "parameters": {
        "type": "object",
        "properties": {
            "query": {"type": "string", "pattern": "^[ !#-\\[\\]-~]{1,30}$"},
            "top": {"type": "integer", "minimum": 1, "maximum": 9},
        },
        "required": ["query", "top"],
    },
}
TICKET: ToolSchema = {
    "name": "open_ticket",
    "description": "Open a ticket.",
    "parameters": {
        "type": "object",
        "properties": {"kind": {"enum": ["fault", "wish"]}, "urgent": {"type": "boolean"}},
        "required": ["kind", "urgent"],
    },
}
ONE_CALL = {"parallel_tool_calls": False}


class Named:
    """A tool as AutoGen names it in `tool_choice`."""

    def __init__(self, schema: ToolSchema) -> None:
        self.schema = schema
        self.name = schema["name"]


class Verdict(BaseModel):
    """An answer in which everything is bounded: random weights never stop by themselves."""

    release: bool
    reason: str = Field(pattern=r"^[a-z ]{1,20}$")
    level: int = Field(ge=0, le=3)


def say(text: str) -> list[UserMessage]:
    return [UserMessage(content=text, source="user")]


@pytest.mark.parametrize("number", range(6))
async def test_a_plan_is_valid_whatever_the_weights_say(tiny, number):
    schema = plan_schema(("knowledge", "data", "actions"))
    client = tiny.client("planner", scope_for(f"plan {number}"))
    result = await client.create(
        say(f"Plan request {number}."),
        json_output=bounded_plan(schema),
        extra_create_args={"seed": number, "temperature": number % 2, "max_tokens": 1500},
    )
    assert isinstance(result.content, str)
    plan = Plan.model_validate_json(result.content)
    assert len(plan.steps) <= 2
    assert {step.specialist for step in plan.steps} <= {"knowledge", "data", "actions"}


def bounded_plan(schema: type[Plan]) -> type[Plan]:
    """The planner's schema with lengths that fit into few tokens of a 400-word vocabulary."""
    step = schema.model_fields["steps"].annotation.__args__[0]
    label = Field(pattern=r"^[a-z ]{1,12}$")
    short = create_model(
        "Step",
        __base__=step,
        id=(str, label),
        task=(str, label),
        needs=(list[str], Field(max_length=0)),
        timeout_s=(int, Field(ge=5, le=60)),
    )
    return create_model("Plan", __base__=schema, steps=(list[short], Field(max_length=2)), reply=(str, label))


@pytest.mark.parametrize("choice", ["required", "named"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_tool_calls_fit_their_schemas(tiny, choice, streamed):
    client = tiny.client("specialist", scope_for())
    wanted = Named(TICKET) if choice == "named" else "required"
    for seed in range(4):
        options = {
            "tools": [SEARCH, TICKET],
            "tool_choice": wanted,
            "extra_create_args": {**ONE_CALL, "seed": seed, "temperature": 1},
        }
        if streamed:
            pieces = [piece async for piece in client.create_stream(say("Do it."), **options)]
            result = pieces[-1]
        else:
            result = await client.create(say("Do it."), **options)
        assert isinstance(result, CreateResult)
        assert result.finish_reason == "function_calls"
        (call,) = result.content
        assert isinstance(call, FunctionCall)
        schemas = {tool["name"]: tool["parameters"] for tool in (SEARCH, TICKET)}
        assert call.name in (["open_ticket"] if choice == "named" else schemas)
        validate(json.loads(call.arguments), schemas[call.name])


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_structured_answer_is_valid(tiny, streamed):
    client = tiny.client("reviewer", scope_for())
    if streamed:
        pieces = [piece async for piece in client.create_stream(say("Judge."), json_output=Verdict)]
        assert len(pieces) == 2, "nothing unchecked is streamed"
        result = pieces[-1]
        assert isinstance(result, CreateResult)
    else:
        result = await client.create(say("Judge."), json_output=Verdict)
    assert isinstance(result.content, str)
    Verdict.model_validate_json(result.content)


async def test_the_tokens_that_we_book_are_those_that_vllm_counted(tiny, server_metrics):
    before = await server_metrics()
    scope = scope_for()
    parameters = {"max_tokens": 40, "min_tokens": 40, "ignore_eos": True}
    pieces = [
        piece
        async for piece in tiny.client("synthesiser", scope).create_stream(
            say("Tell me a story."), extra_create_args=parameters
        )
    ]
    after = await server_metrics()
    result = pieces[-1]
    assert isinstance(result, CreateResult)
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == result.content
    assert result.usage.completion_tokens == 40 == after.generated_tokens - before.generated_tokens
    assert result.usage.prompt_tokens == after.prompt_tokens - before.prompt_tokens
    assert (scope.meter.usage.prompt_tokens, scope.meter.usage.completion_tokens) == (result.usage.prompt_tokens, 40)


@pytest.mark.parametrize("how", ["token", "task", "generator"])
async def test_stopping_a_stream_stops_the_work_at_vllm(tiny, server_metrics, how):
    scope = scope_for()
    token = CancellationToken()
    endless = {"max_tokens": 20_000, "min_tokens": 20_000, "ignore_eos": True}
    stream = tiny.client("synthesiser", scope).create_stream(
        say("Never stop."), extra_create_args=endless, cancellation_token=token
    )

    async def read() -> None:
        async for _ in stream:
            pass

    if how == "generator":
        assert isinstance(await anext(stream), str)
    else:
        task = asyncio.create_task(read())
    async with asyncio.timeout(30):
        while (await server_metrics()).running == 0:
            await asyncio.sleep(0.05)
    match how:
        case "generator":
            await stream.aclose()
        case "token":
            token.cancel()
        case "task":
            task.cancel()
    if how != "generator":
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(5):
        while (await server_metrics()).running:
            await asyncio.sleep(0.05)
    assert 0 < scope.meter.usage.completion_tokens < 20_000, "what was generated until then is booked"


async def test_a_shared_prefix_comes_from_the_cache_of_its_tenant_only(tiny, server_metrics):
    rules = "These are the rules of the house, the same for everybody. " * 30

    async def cached(tenant: str, question: str) -> tuple[int, int]:
        scope = scope_for("conv", tenant=tenant)
        # Enough tokens for a letter among them: an answer that is cut off before its first is a fault.
        few = {"max_tokens": 30, "min_tokens": 30, "ignore_eos": True}
        await tiny.client("direct", scope).create(say(rules + question), extra_create_args=few)
        return scope.meter.usage.cached_tokens, scope.meter.usage.prompt_tokens

    before = await server_metrics()
    first, _ = await cached("prefix-a", "One?")
    second, prompt = await cached("prefix-a", "Two?")
    stranger, _ = await cached("prefix-b", "One?")
    share = (await server_metrics()).prefix_hit_share_since(before)
    assert first == 0
    assert second > 0.9 * prompt
    assert stranger == 0, "one tenant's cache told another something"
    assert share is not None
    assert 0.2 < share < 0.4
