"""Vectors for callers who search on their own: OpenAI's client, the real app, an embedder or a model server."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest

from gateway.settings import GatewaySettings
from tests.gateway.conftest import Bare, House
from tests.inference.peer import Peer

PATH = "/v1/embeddings"
TEXTS = ["a bad cab", "head", "a bad cab"]


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(port=0, calls_per_principal=1, max_embedding_texts=3, max_message_chars=100)


@pytest.mark.parametrize("coded", [{}, {"encoding_format": "float"}], ids=["as the client likes it", "as numbers"])
async def test_the_openai_client_gets_a_unit_vector_for_each_text_in_their_order(sdk, coded):
    made = await sdk.embeddings.create(model="embedding", input=TEXTS, dimensions=8, **coded)
    first, second, third = (item.embedding for item in made.data)
    assert [item.index for item in made.data] == [0, 1, 2]
    assert first == third != second
    assert sum(number * number for number in second) == pytest.approx(1, abs=1e-6)
    assert (made.model, made.usage.prompt_tokens, made.usage.total_tokens) == ("letters", 5, 5)
    alone = await sdk.embeddings.create(model="letters", input=TEXTS[1], **coded)
    assert alone.data[0].embedding == second


async def test_the_audit_log_knows_how_many_texts_and_never_which(sdk, bare: Bare):
    made = await sdk.embeddings.create(model="embedding", input=TEXTS)
    with pytest.raises(openai.NotFoundError, match="'embedding' or 'letters'"):
        await sdk.embeddings.create(model="text-embedding-3-small", input=TEXTS)
    done, refused = await bare.records()
    assert done["run"] == made.model_extra["signalbox"]["run_id"]
    names = ("event", "user", "purpose", "model", "engine", "texts", "prompt_tokens", "outcome")
    assert [done[name] for name in names] == ["model.call", "ada", "embedding", "embedding", "letters", 3, 5, "ok"]
    assert (refused["model"], refused["outcome"]) == ("text-embedding-3-small", "denied")
    assert TEXTS[0] not in json.dumps([done, refused])


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"input": []}, 400, "input"),
        ({"input": [""]}, 400, "input[0]"),
        ({"input": ["a"] * 4}, 413, "input"),
        ({"input": ["a", "b" * 101]}, 413, "input[1]"),
        ({"input": [[1, 2]]}, 400, "input"),
        ({"input": [1, 2]}, 400, "input"),
        ({"input": "a", "dimensions": 256}, 400, "dimensions"),
        ({"input": "a", "encoding_format": "int8"}, 400, "encoding_format"),
        ({"model": 5, "input": "a"}, 400, "model"),
    ],
)
async def test_what_is_wrong_is_named(client: httpx.AsyncClient, change: dict[str, Any], status: int, param: str):
    answer = await client.post(PATH, json={"model": "embedding", **change})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_nobody_gets_vectors_without_a_key(house: House):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url="http://gateway") as nobody:
        assert (await nobody.post(PATH, json={"model": "embedding", "input": "a"})).status_code == 401


async def test_calls_are_admitted_and_one_whose_client_leaves_is_stopped(sdk, house: House, bare: Bare):
    bare.letters.wait_s = 30
    waiting = asyncio.create_task(sdk.embeddings.create(model="embedding", input="a"))
    while not house.turns.calls._live:
        await asyncio.sleep(0.005)
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.embeddings.create(model="embedding", input="b")
    assert caught.value.response.headers["retry-after"] == "2"
    waiting.cancel()
    while house.turns.calls._live:
        await asyncio.sleep(0.005)
    assert [record["outcome"] for record in await bare.records()] == ["cancelled"]


async def test_a_batch_may_ask_for_vectors(client: httpx.AsyncClient):
    lines = [
        {"custom_id": str(n), "method": "POST", "url": PATH, "body": {"model": "embedding", "input": text}}
        for n, text in enumerate(TEXTS)
    ]
    file = ("lines.jsonl", "\n".join(map(json.dumps, lines)).encode())
    sent = (await client.post("/v1/files", data={"purpose": "batch"}, files={"file": file})).json()
    batch = {"input_file_id": sent["id"], "endpoint": PATH, "completion_window": "24h"}
    made = (await client.post("/v1/batches", json=batch)).json()
    async with asyncio.timeout(8):
        while (made := (await client.get(f"/v1/batches/{made['id']}")).json())["status"] != "completed":
            await asyncio.sleep(0.05)
    assert made["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    output = (await client.get(f"/v1/files/{made['output_file_id']}/content")).text
    bodies = [json.loads(line)["response"]["body"] for line in output.splitlines()]
    assert [len(body["data"][0]["embedding"]) for body in bodies] == [8, 8, 8]


class TestServed:
    """An embedding model behind a model server."""

    @pytest.fixture
    def inference(self, peer: Peer) -> dict[str, Any]:
        model = {"served_name": "test-model", "price": {"input_per_million": 3}}
        backend = {"name": "one", "base_url": peer.url}
        return {"backends": [backend], "models": {"vectors": model}, "embeddings": "vectors"}

    async def test_vectors_usage_and_cost_are_those_of_the_server(self, sdk, peer, bare: Bare):
        rows = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [1.5, 0.0]}]
        peer.prediction = json.dumps({"data": rows, "usage": {"prompt_tokens": 9}}).encode()
        made = await sdk.embeddings.create(model="embedding", input=["a", "b"])
        assert [item.embedding for item in made.data] == [[1.5, 0.0], [0.0, 2.0]]
        assert (made.model, made.usage.prompt_tokens) == ("test-model", 9)
        assert made.model_extra["signalbox"]["cost"] == pytest.approx(27e-6)
        assert peer.requests[-1].body["input"] == ["a", "b"]
        (record,) = await bare.records()
        assert (record["engine"], record["cost"]) == ("test-model", pytest.approx(27e-6))

    async def test_a_server_that_is_down_is_said_with_when_to_come_back(self, sdk, peer, bare: Bare):
        await peer.stop()
        with pytest.raises(openai.InternalServerError) as caught:
            await sdk.embeddings.create(model="embedding", input="a")
        assert (caught.value.status_code, caught.value.response.headers["retry-after"]) == (503, "10")
        assert [(record["outcome"], record["error"]) for record in await bare.records()] == [
            ("failed", "upstream_down")
        ]
