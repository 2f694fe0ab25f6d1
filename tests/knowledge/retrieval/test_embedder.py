import json
from pathlib import Path

import httpx2
import numpy as np
import pytest

from knowledge.embed import MiniLMEmbedder, OpenAIEmbedder, covers, open_embedder
from knowledge.embed.model import MODEL_NAME, ensure_model
from knowledge.embed.passages import PassageText, cosines, embed_passages, pack
from knowledge.settings import EmbeddingSettings
from signalbox.errors import ToolFault, UpstreamDown


async def test_similar_sentences_are_nearer_than_dissimilar_ones(models: Path) -> None:
    embedder = MiniLMEmbedder(models)
    texts = [
        "How many weeks of parental leave do I get?",
        "New parents may stay at home for twenty weeks.",
        "The cargo bike carries eighty kilograms.",
        "What load can the bicycle take?",
    ]
    vectors = await embedder.embed(texts)
    await embedder.close()
    assert vectors.shape == (4, embedder.dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    near = [float(vectors[0] @ vectors[1]), float(vectors[2] @ vectors[3])]
    far = [float(vectors[a] @ vectors[b]) for a, b in ((0, 2), (0, 3), (1, 2), (1, 3))]
    assert min(near) > 0.4
    assert max(far) < 0.25


async def test_a_bulk_load_gives_the_same_directions_as_single_texts(models: Path) -> None:
    embedder = MiniLMEmbedder(models, batch_texts=8)
    texts = [f"Passage number {number} is about {'bikes ' * (number % 7)}and service." for number in range(20)]
    bulk = await embedder.embed(texts)
    single = np.concatenate([await embedder.embed([text]) for text in texts])
    await embedder.close()
    assert float((bulk * single).sum(axis=1).min()) > 0.97  # int8 activations share a scale within a batch


async def test_a_damaged_model_is_built_again(tmp_path: Path) -> None:
    built = ensure_model(tmp_path).onnx
    whole = built.read_bytes()
    built.write_bytes(whole[:-100])
    ensure_model(tmp_path)
    assert built.read_bytes() == whole
    assert json.loads(built.with_suffix(".json").read_text())["source_sha256"].startswith("53aa5117")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{MODEL_NAME}.json", f"{MODEL_NAME}.onnx"]


def test_the_english_model_covers_english_and_the_unknown_only(tmp_path: Path) -> None:
    embedder = open_embedder(EmbeddingSettings(), tmp_path)
    assert [covers(embedder, language) for language in ("en", "und", "de", "zh")] == [True, True, False, False]


async def test_packed_sentences_keep_their_directions() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.allclose(cosines(rows[0], pack(rows)), rows @ rows[0], atol=0.01)


async def test_a_passage_gets_a_vector_for_each_sentence(models: Path) -> None:
    embedder = MiniLMEmbedder(models)
    passage = PassageText("Leave", "Parents", "Leave is 20 weeks. It is paid. Ask Dr. Ruiz first.")
    (vectors,) = await embed_passages(embedder, [passage])
    await embedder.close()
    assert passage.sentences == ["Leave is 20 weeks.", "It is paid.", "Ask Dr. Ruiz first."]
    assert vectors.sentences.shape == (3, 384)


def _remote(handler: httpx2.MockTransport) -> OpenAIEmbedder:
    client = httpx2.AsyncClient(transport=handler, base_url="http://model.test/v1/")
    return OpenAIEmbedder(client, model="m", dimensions=2)


async def test_a_remote_embedder_restores_order_and_length() -> None:
    def reply(request: httpx2.Request) -> httpx2.Response:
        assert json.loads(request.content) == {"model": "m", "input": ["a", "b"], "encoding_format": "float"}
        data = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]
        return httpx2.Response(200, json={"data": data})

    embedder = _remote(httpx2.MockTransport(reply))
    assert np.allclose(await embedder.embed(["a", "b"]), [[0.6, 0.8], [0, 1]])
    await embedder.close()


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (httpx2.Response(503), UpstreamDown),
        (httpx2.Response(404, text="no such model"), ToolFault),
        (httpx2.Response(200, json={"data": [{"index": 0, "embedding": [1, 2, 3]}]}), ToolFault),
    ],
)
async def test_a_remote_embedder_that_fails_says_how(response: httpx2.Response, fault: type[Exception]) -> None:
    embedder = _remote(httpx2.MockTransport(lambda _: response))
    with pytest.raises(fault):
        await embedder.embed(["a"])
    await embedder.close()


async def test_a_remote_embedder_that_is_not_there_is_named() -> None:
    embedder = OpenAIEmbedder.connect("http://127.0.0.1:9/v1", "m", None, dimensions=2, timeout_s=2)
    with pytest.raises(UpstreamDown, match=r"127\.0\.0\.1:9"):
        await embedder.embed(["a"])
    await embedder.close()
