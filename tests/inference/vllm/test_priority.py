"""One place at vLLM and a queue of batch work before it: who is served next."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from autogen_core.models import UserMessage

from inference.settings import BackendSettings
from inference.vllm.launch import Launch
from inference.vllm.metrics import fetch_metrics
from tests.inference.conftest import scope_for
from tests.inference.vllm.conftest import running

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def narrow(make_launch: Callable[..., Launch], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """A server that works on one request at a time."""
    launch = make_launch("--max-num-seqs", "1")
    with running(launch, tmp_path_factory.mktemp("logs") / "narrow.log") as started:
        yield started


async def test_a_person_overtakes_the_batch_work_that_was_there_before(make_models, narrow: Launch):
    models = make_models(
        base_url=narrow.base_url,
        models={"main": {"served_name": "tiny", "grammar": "guidance"}},
        purposes={"batch": "main", "direct": "main"},
        timeouts={"whole_answer_s": 200, "first_token_s": 200},
    )
    order: list[str] = []
    fixed = {"max_tokens": 120, "min_tokens": 120, "ignore_eos": True}

    async def ask(purpose, name, priority):
        scope = scope_for(name, priority=priority)
        question = [UserMessage(content=f"Job {name}.", source="user")]
        await models.client(purpose, scope).create(question, extra_create_args=fixed)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(8):
            group.create_task(ask("batch", f"batch {number}", 10))
        backend = BackendSettings(base_url=narrow.base_url)
        while (found := await fetch_metrics(backend)) is None or found.running + found.waiting < 8:
            await asyncio.sleep(0.02)
        group.create_task(ask("direct", "a person", 0))
    assert order.index("a person") <= 2, "at most the jobs that were being finished came first"
    assert len(order) == 9
