"""An HTTP service becomes tools: against a real one on this machine."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from policies.engine import Effect, Rule
from tests.toolbus.world import QUICK, World
from toolbus.contracts import ToolOutcome
from toolbus.netguard import check_host
from toolbus.settings import OpenApiSpec

DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "servers": [{"url": "http://evil.example"}],
    "paths": {
        "/bikes/{bike_id}": {
            "parameters": [{"name": "bike_id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "getBike",
                "summary": "Look up a bike.",
                "parameters": [
                    {"name": "fields", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
                    {"name": "X-Language", "in": "header", "schema": {"type": "string", "enum": ["en", "nl"]}},
                ],
            },
            "delete": {"operationId": "deleteBike"},
        },
        "/orders": {
            "post": {
                "operationId": "createOrder",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
                },
            },
            "get": {"operationId": "listOrders"},
        },
        "/moved": {"get": {"operationId": "moved"}},
        "/flood": {"get": {"operationId": "flood"}},
    },
    "components": {
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["model", "count"],
                "properties": {
                    "model": {"$ref": "#/components/schemas/Model"},
                    "count": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                    "note": {"type": "string", "nullable": True},
                },
            },
            "Model": {"type": "string", "enum": ["heron", "pelican"]},
        }
    },
}
RULES = [
    Rule(id="shop.read", tools=("shop__*",), effect=Effect.PERMIT, reason="for the tests of OpenAPI"),
    Rule(id="shop.order", tools=("shop__createOrder",), effect=Effect.PERMIT, reason="for the tests of OpenAPI"),
]


class Shop:
    """The service, and what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.seen.append((request.method, request.raw_path, dict(request.headers), body))
        if request.path == "/v1/moved":
            return web.Response(status=302, headers={"location": "http://169.254.169.254/latest"})
        if request.path == "/v1/flood":
            return web.Response(text="x" * 3_000_000)
        if request.path == "/openapi.json":
            return web.json_response(DOCUMENT)
        if request.path == "/v1/bikes/none":
            return web.json_response({"error": "no such bike"}, status=404)
        return web.json_response({"path": request.path, "got": body, "key": "AKIAIOSFODNN7EXAMPLE"})


@pytest.fixture
async def shop() -> AsyncIterator[tuple[Shop, str]]:
    shop = Shop()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", shop.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield shop, f"http://127.0.0.1:{port}"
    await runner.cleanup()


def spec(base: str, *wanted: str, **changes: Any) -> OpenApiSpec:
    fields: dict[str, Any] = {
        "name": "shop",
        "document": f"{base}/openapi.json",
        "base_url": f"{base}/v1",
        "operations": wanted or ("getBike", "createOrder"),
        "headers": {"Authorization": "Bearer the-shop-key"},
        "allow_private": True,
        "auto_approve": True,
    }
    return OpenApiSpec(**{**fields, **changes})


async def call(world: World, tool: str, **arguments: object) -> ToolOutcome:
    context = world.context()
    await (await world.bus.workbench(context, ["shop__*"])).call_tool(f"shop__{tool}", arguments)
    return context.outcomes[0]


async def test_listed_operations_become_tools_and_nothing_else(world: World, shop: tuple[Shop, str]) -> None:
    async with world.open([spec(shop[1])], RULES) as bus:
        tools = {tool.tool: tool for tool in await bus.tools(world.context().chain)}
    assert {name: (tool.read_only, tool.idempotent) for name, tool in tools.items()} == {
        "getBike": (True, True),
        "createOrder": (False, False),
    }
    assert tools["getBike"].input_schema == {
        "type": "object",
        "properties": {
            "bike_id": {"type": "string"},
            "fields": {"type": "array", "items": {"type": "string"}},
            "X-Language": {"type": "string", "enum": ["en", "nl"]},
        },
        "required": ["bike_id"],
        "additionalProperties": False,
    }
    assert tools["createOrder"].input_schema["$defs"] == {
        "Order": {
            "type": "object",
            "required": ["model", "count"],
            "properties": {
                "model": {"$ref": "#/$defs/Model"},
                "count": {"type": "integer", "exclusiveMinimum": 0},
                "note": {"type": ["string", "null"]},
            },
        },
        "Model": {"type": "string", "enum": ["heron", "pelican"]},
    }


async def test_a_call_goes_to_the_base_url_with_our_credentials_and_comes_back_redacted(
    world: World, shop: tuple[Shop, str]
) -> None:
    async with world.open([spec(shop[1])], RULES):
        outcome = await call(world, "getBike", bike_id="a/../b?x=1", fields=["name", "price"], **{"X-Language": "nl"})
    assert outcome.status == "ok"
    assert outcome.structured["key"] == "[aws-key]"
    method, path, headers, _ = shop[0].seen[-1]
    assert (method, path) == ("GET", "/v1/bikes/a%2F..%2Fb%3Fx%3D1?fields=name&fields=price")
    assert (headers["Authorization"], headers["X-Language"]) == ("Bearer the-shop-key", "nl")


async def test_a_body_is_validated_against_the_referenced_schema_and_sent(world: World, shop: tuple[Shop, str]) -> None:
    async with world.open([spec(shop[1])], RULES):
        wrong = await call(world, "createOrder", body={"model": "swan", "count": 0})
        right = await call(world, "createOrder", body={"model": "heron", "count": 2, "note": None})
    assert wrong.status == "error"
    assert "body/model: 'swan' is not one of" in wrong.text
    assert right.structured["got"] == {"model": "heron", "count": 2, "note": None}
    assert shop[0].seen[-1][2]["Idempotency-Key"].startswith("call_")
    assert [entry[0] for entry in shop[0].seen] == ["GET", "POST"]


@pytest.mark.parametrize("bike_id", ["..", ".", ""])
async def test_a_path_argument_cannot_leave_its_place(world: World, shop: tuple[Shop, str], bike_id: str) -> None:
    async with world.open([spec(shop[1])], RULES):
        assert (await call(world, "getBike", bike_id=bike_id)).status == "error"
    assert len(shop[0].seen) == 1


async def test_errors_redirects_and_floods_of_the_service_are_results(world: World, shop: tuple[Shop, str]) -> None:
    async with world.open([spec(shop[1], "getBike", "moved", "flood")], RULES):
        missing = await call(world, "getBike", bike_id="none")
        moved = await call(world, "moved")
        flood = await call(world, "flood")
    assert (missing.status, missing.structured) == ("error", {"error": "no such bike"})
    assert (moved.status, moved.text) == (
        "error",
        "The service answered with a redirect (302), which is not followed.",
    )
    assert flood.status == "ok"
    assert len(flood.text) < QUICK.max_result_bytes + 300


async def test_private_addresses_are_refused_unless_allowed(world: World, shop: tuple[Shop, str]) -> None:
    closed = spec(shop[1], allow_private=False)
    named = spec(shop[1].replace("127.0.0.1", "localhost"), name="named", allow_private=False)
    async with world.open([closed, named], RULES) as bus:
        health = await bus.health()
    assert "may not be reached" in health["shop"]
    assert "may not be reached" in health["named"]
    assert shop[0].seen == []


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[::ffff:169.254.169.254]", "0.0.0.0", "[fe80::1]", "224.0.0.1", "[2002:a9fe:a9fe::]"]
)
def test_some_addresses_are_never_reached(host: str) -> None:
    with pytest.raises(Exception, match="may not be reached"):
        check_host(host, allow_private=True)


@pytest.mark.parametrize("host", ["10.0.0.1", "127.0.0.1", "[::1]", "192.168.1.1", "[::ffff:10.0.0.1]", "100.64.0.1"])
def test_private_literals_need_permission(host: str) -> None:
    check_host(host, allow_private=True)
    with pytest.raises(Exception, match="may not be reached"):
        check_host(host, allow_private=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "neither JSON nor YAML"),
        ("swagger: '2.0'", "not of version 3"),
        (json.dumps({"openapi": "3.1.0", "paths": {}}), "has no operation 'getBike'"),
        (
            json.dumps(
                {
                    "openapi": "3.1.0",
                    "paths": {
                        "/x": {"get": {"operationId": "getBike", "requestBody": {"$ref": "http://evil.example/x"}}}
                    },
                }
            ),
            "outside of itself",
        ),
    ],
)
async def test_a_description_that_cannot_be_used_is_a_status_not_a_crash(world: World, text: str, told: str) -> None:
    file = world.folder / "openapi.json"
    file.write_text(text)
    async with world.open([spec("http://127.0.0.1:9", "getBike", document=str(file))], RULES) as bus:
        assert told in (await bus.health())["shop"]
        assert list(await bus.tools(world.context().chain)) == []


async def test_a_service_that_is_down_says_so_and_is_left_alone_after_a_while(world: World) -> None:
    file = world.folder / "openapi.json"
    file.write_text(json.dumps(DOCUMENT))
    settings = QUICK.model_copy(update={"breaker_failures": 2})
    async with world.open([spec("http://127.0.0.1:9", document=str(file))], RULES, settings) as bus:
        outcomes = [await call(world, "getBike", bike_id="1") for _ in range(2)]
        assert "cannot be reached" in outcomes[0].text
        assert (await bus.health())["shop"].startswith("left alone for")


async def test_a_description_that_could_not_be_read_is_looked_at_again(world: World) -> None:
    file = world.folder / "openapi.json"
    settings = QUICK.model_copy(update={"restart_backoff_max_s": 0.05})
    async with world.open([spec("http://127.0.0.1:9", "getBike", document=str(file))], RULES, settings) as bus:
        assert "cannot be read" in (await bus.health())["shop"]
        file.write_text(json.dumps(DOCUMENT))
        async with asyncio.timeout(9):
            while (await bus.health())["shop"] != "up":
                await asyncio.sleep(0.05)
        assert [tool.name for tool in await bus.tools(world.context().chain)] == ["shop__getBike"]
