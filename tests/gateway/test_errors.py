"""Whatever goes wrong, wherever: the OpenAI error object, and nothing of our insides."""

from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agents.contracts import TurnRequest
from gateway.errors import fault_of
from gateway.settings import GatewaySettings
from runs.events import RunEvent
from signalbox import errors
from tests.gateway.conftest import House

CHAT = "/v1/chat/completions"
HI = {"model": "signalbox", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(port=0, max_body_bytes=2000, max_message_chars=100, max_messages=5)


def check_shape(response: httpx.Response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    assert set(response.json()) == {"error"}
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert "Traceback" not in response.text
    return error


@pytest.mark.parametrize(
    ("method", "path", "status", "request_args"),
    [
        ("GET", "/", 404, {}),
        ("GET", "/v1/nothing", 404, {}),
        ("GET", "/v1/models/gpt-9", 404, {}),
        ("GET", CHAT, 405, {}),
        ("DELETE", "/v1/models", 405, {}),
        ("POST", CHAT, 400, {"content": b""}),
        ("POST", CHAT, 400, {"content": b"{"}),
        ("POST", CHAT, 400, {"content": b"\xff\xfe"}),
        ("POST", CHAT, 400, {"content": b'"text"'}),
        ("POST", CHAT, 400, {"content": b'{"model": "signalbox", "messages": [' + b"[" * 90 + b"]" * 90 + b"]}"}),
        ("POST", CHAT, 400, {"content": b"[" * 1900}),
        ("POST", CHAT, 400, {"json": {"messages": HI["messages"]}}),
        ("POST", CHAT, 400, {"json": {"model": "signalbox"}}),
        ("POST", CHAT, 400, {"json": {"model": "signalbox", "messages": "hi"}}),
        ("POST", CHAT, 400, {"json": {"model": "signalbox", "messages": [{"role": "user"}]}}),
        ("POST", CHAT, 400, {"json": {"model": "signalbox", "messages": [{"role": "boss", "content": "hi"}]}}),
        ("POST", CHAT, 400, {"json": {**HI, "max_tokens": 0}}),
        ("POST", CHAT, 400, {"json": {**HI, "temperature": "hot"}}),
        ("POST", CHAT, 400, {"json": {**HI, "tool_choice": "required"}}),
        ("POST", CHAT, 400, {"json": {**HI, "metadata": {"conversation_id": 7}}}),
        ("POST", CHAT, 400, {"json": {**HI, "signalbox": {"conversation_id": "a\u0000b"}}}),
        (
            "POST",
            CHAT,
            400,
            {"content": b'{"model": "signalbox", "messages": [{"role": "user", "content": "\\ud800"}]}'},
        ),
        ("GET", "/v1/conversations/%00", 400, {}),
        ("POST", CHAT, 404, {"json": {**HI, "model": "gpt-9"}}),
        ("POST", CHAT, 404, {"json": {**HI, "signalbox": {"conversation_id": "conv_of_nobody"}}}),
        ("POST", CHAT, 413, {"json": {**HI, "messages": [{"role": "user", "content": "x" * 101}]}}),
        ("POST", CHAT, 413, {"json": {**HI, "messages": HI["messages"] * 6}}),
        ("POST", CHAT, 413, {"content": b"x" * 2001}),
        ("GET", "/v1/conversations?limit=0", 400, {}),
        ("GET", "/v1/conversations?limit=many", 400, {}),
        ("GET", "/v1/conversations?before=conv_of_nobody", 404, {}),
        ("GET", "/v1/conversations/conv_of_nobody", 404, {}),
        ("DELETE", "/v1/conversations/conv_of_nobody", 404, {}),
        ("GET", "/v1/approvals?state=odd", 400, {}),
        ("GET", "/v1/approvals/appr_of_nobody", 404, {}),
        ("POST", "/v1/approvals/appr_of_nobody", 400, {"json": {"decision": "perhaps"}}),
        ("POST", "/v1/approvals/appr_of_nobody", 404, {"json": {"decision": "approve"}}),
        ("GET", "/v1/runs/run_of_nobody/events", 404, {}),
        ("GET", "/v1/runs/run_of_nobody/events", 404, {"headers": {"accept": "text/event-stream"}}),
        ("POST", "/v1/runs/run_of_nobody/cancel", 404, {}),
        ("GET", "/v1/documents/nothing", 404, {}),
        ("POST", "/v1/documents/ingest", 403, {"json": {"path": "/data"}}),
        ("POST", "/v1/documents/index", 403, {"json": {"action": "check"}}),
        ("GET", "/metrics", 403, {}),
    ],
)
async def test_every_fault_has_the_openai_shape(client: httpx.AsyncClient, method, path, status, request_args):
    check_shape(await client.request(method, path, **request_args), status)


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(client: httpx.AsyncClient):
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    check_shape(await client.post(CHAT, content=endless()), 413)


@pytest.mark.parametrize(
    "key", [None, "Bearer", "Basic eA==", "Bearer sk-sb-0", "Bearer sk-sb-" + "0" * 16 + "-" + "A" * 43]
)
async def test_nothing_is_told_to_strangers(client: httpx.AsyncClient, key):
    client.headers.pop("authorization")
    for path in ("/", "/v1/models", "/v1/nothing", CHAT, "/metrics", "/a2a/jsonrpc", "/v1/documents/x", "/healthz/x"):
        response = await client.get(path, headers={"authorization": key} if key else {})
        assert check_shape(response, 401)["code"] == "invalid_api_key"
        assert response.headers["www-authenticate"] == "Bearer"


async def test_a_client_that_leaves_while_it_sends_is_no_error(house: House):
    sent: list[object] = []

    async def receive() -> dict:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    headers = [(b"authorization", house.headers("ada")["authorization"].encode())]
    scope = {"type": "http", "method": "POST", "path": CHAT, "query_string": b"", "headers": headers, "root_path": ""}
    await house.app(scope, receive, send)
    assert sent == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_crash_is_told_without_its_details(client: httpx.AsyncClient, house: House, stream):
    async def script(_request: TurnRequest, _conversation: str) -> AsyncIterator[RunEvent]:
        raise RuntimeError("secret detail")
        yield

    house.agents.script = script
    response = await client.post(CHAT, json={**HI, "stream": stream})
    assert "secret" not in response.text
    assert '"code":"internal"' in response.text
    if not stream:
        check_shape(response, 500)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.UserFault("m", param="p"), 400, "invalid_request"),
        (errors.NotFound("m"), 404, "not_found"),
        (errors.TooLarge("m"), 413, "too_large"),
        (errors.NotAllowed("m"), 403, "not_allowed"),
        (errors.NotAuthenticated("m"), 401, "invalid_api_key"),
        (errors.Conflict("m"), 409, "conflict"),
        (errors.BudgetSpent("m", retry_after_s=1.2), 429, "rate_limit_exceeded"),
        (errors.ToolFault("m"), 502, "tool_failed"),
        (errors.UpstreamDown("m", retry_after_s=3), 503, "upstream_down"),
        (errors.Bug("an invariant"), 500, "internal"),
    ],
)
def test_the_error_tree_maps_to_http(error, status, code):
    fault = fault_of(error)
    assert (fault.status, fault.code) == (status, code)
    assert "invariant" not in fault.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["messages", "stream", "n", "user", "metadata", "signalbox", "stream_options", "temperature"])


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(overrides=st.dictionaries(FIELDS, JSON, max_size=3))
async def test_no_json_brings_it_down(client: httpx.AsyncClient, overrides):
    response = await client.post(CHAT, json={**HI, **overrides})
    assert response.status_code in (200, 400, 404, 413, 429), response.text
    if response.status_code != 200:
        check_shape(response, response.status_code)
