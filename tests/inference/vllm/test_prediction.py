"""Models that predict, on a real vLLM: vectors, rerank scores, classes as a guard gives them."""

import math
from collections.abc import Callable, Iterator

import pytest

from agents.review.guard import GuardJudge
from agents.review.verdict import Surroundings
from agents.reviewer import Reviewer
from agents.settings import GuardSettings, ReviewSettings
from inference.vllm.launch import Launch
from tests.inference.vllm.conftest import running

pytestmark = pytest.mark.vllm


def pooling(
    make_launch: Callable[..., Launch], folder: pytest.TempPathFactory, convert: str, *extra: str
) -> Iterator[Launch]:
    launch = make_launch("--runner", "pooling", "--convert", convert, "--max-model-len", "2048", *extra)
    with running(launch, folder.mktemp("logs") / f"{convert}.log") as started:
        yield started


@pytest.fixture(scope="module")
def embedder(make_launch: Callable[..., Launch], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    yield from pooling(make_launch, tmp_path_factory, "embed")


@pytest.fixture(scope="module")
def classifier(make_launch: Callable[..., Launch], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    # The tiny model has no classes: vLLM makes their weights up.
    yield from pooling(make_launch, tmp_path_factory, "classify", "--load-format", "dummy")


async def test_embeddings_and_rerank_scores_come_from_one_pooling_server(make_models, embedder: Launch):
    models = make_models(base_url=embedder.base_url, model="tiny")
    texts = ["A cargo bike.", "A parental leave.", "A cargo bike."]
    vectors = await models.embeddings("tiny").embed(texts)
    assert [len(vector) for vector in vectors] == [64] * 3
    assert all(math.isclose(sum(x * x for x in vector), 1, abs_tol=0.02) for vector in vectors)
    assert vectors[0] == pytest.approx(vectors[2], abs=0.02)
    ranked = await models.reranker("tiny").rerank("A cargo bike.", texts[:2])
    assert [item.index for item in ranked] == [0, 1]


async def test_the_gate_lets_out_what_the_guard_allows_and_nothing_else(make_models, classifier: Launch):
    models = make_models(
        base_url=classifier.base_url, models={"guard": {"served_name": "tiny"}}, purposes={"reviewer": "guard"}
    )
    (found,) = await models.classifier("guard").classify(["A sentence."])

    async def verdict(*allow: str) -> str:
        judge = GuardJudge(models.classifier("guard"), GuardSettings(model="guard", allow=allow, min_probability=0))
        reviewer = Reviewer(ReviewSettings(judge_timeout_s=60), canary="kestrel-4711-harbour", judge=judge)
        return (await reviewer.review("A sentence.", Surroundings())).action

    assert await verdict(found.label) == "release"
    assert await verdict("a class that this model has not") == "withhold"


async def test_a_guard_gives_each_text_a_class(make_models, classifier: Launch):
    models = make_models(base_url=classifier.base_url, model="tiny")
    found = await models.classifier("tiny").classify(["Yes.", "No, and again no."])
    assert len(found) == 2
    assert all(math.isclose(sum(item.probabilities), 1, abs_tol=0.01) for item in found)
