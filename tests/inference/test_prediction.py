"""Embeddings, rerank scores and classes share everything with chat calls but the shape of the reply."""

import asyncio

import pytest

from inference.errors import ModelFault
from inference.prediction import Classified, Ranked
from signalbox.errors import UpstreamDown, UserFault
from tests.inference.peer import Script


@pytest.fixture
def models(peer, make_models):
    return make_models(base_url=peer.url, models={"small": {"served_name": "test-model"}})


async def test_embeddings_come_in_the_order_of_the_texts(models, scope):
    vectors = await models.embeddings("small").embed(["a", "bbb", "cc"], scope=scope)
    assert vectors == [[1.0, 1.0], [3.0, 1.0], [2.0, 1.0]]
    assert scope.meter.usage.prompt_tokens == 7
    assert await models.embeddings("small").embed([]) == []


async def test_reranking_orders_documents(models):
    ranked = await models.reranker("small").rerank("q", ["a", "cccc", "bb"], top=2)
    assert ranked == [Ranked(1, 0.04), Ranked(2, 0.02)]


async def test_classes_carry_probabilities(models):
    assert await models.classifier("small").classify(["hi"]) == [Classified("safe", (0.9, 0.1))]


async def test_a_server_that_cannot_embed_is_named(models, peer):
    peer.script = Script(status=500, message="no pooling model")
    with pytest.raises(UpstreamDown, match="no pooling model"):
        await models.embeddings("small").embed(["a"])


@pytest.mark.parametrize("reply", [b"{}", b'{"data": [{"index": 5, "embedding": [1]}]}', b'{"data": [{"index": 0}]}'])
async def test_a_reply_of_another_shape_is_an_error(models, peer, reply):
    peer.prediction = reply
    with pytest.raises(ModelFault, match="not what was asked for"):
        await models.embeddings("small").embed(["a"])


async def test_too_many_texts_are_refused_before_they_are_sent(models, peer):
    with pytest.raises(UserFault, match="At most 2048"):
        await models.embeddings("small").embed(["x"] * 3000)
    assert peer.requests == []


async def test_cancelling_a_prediction_closes_it_at_the_peer(models, peer):
    peer.script = Script(hang="head")
    task = asyncio.create_task(models.embeddings("small").embed(["a"]))
    async with asyncio.timeout(1):
        while not peer.in_flight:
            await asyncio.sleep(0.005)
        task.cancel()
        while not peer.disconnects:
            await asyncio.sleep(0.005)
