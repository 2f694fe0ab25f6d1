"""A real vLLM for these tests: the CPU build, with the tiny model, started once. `make test-vllm` installs it."""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inference.settings import BackendSettings
from inference.vllm.launch import Launch, VllmServer
from inference.vllm.metrics import ServerMetrics, fetch_metrics
from inference.vllm.serving_profile import find_profile

ROOT = Path(__file__).parents[3]
COMMAND_ENV = "SIGNALBOX_TEST_VLLM"
START_TIMEOUT_S = 280

Serve = Callable[..., Launch]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the server may wait for its start."""
    for item in items:
        if item.get_closest_marker("vllm"):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def command() -> Path:
    """vLLM's command, of the environment that `make vllm` makes."""
    path = Path(os.environ.get(COMMAND_ENV) or ROOT / ".venv-vllm/bin/vllm")
    if not path.exists():
        pytest.skip(f"There is no vLLM at {path}: run `make vllm`, or name its command in {COMMAND_ENV}.")
    return path


@pytest.fixture(scope="session")
def tiny_model(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that the committed script makes, fresh."""
    folder = tmp_path_factory.mktemp("tiny")
    script = ROOT / "inference/vllm/tiny_model.py"
    subprocess.run([str(command.with_name("python")), str(script), str(folder)], check=True, capture_output=True)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def make_launch(command: Path, tiny_model: Path) -> Serve:
    """What starts the tiny model by the CI profile, with more arguments where a test needs them."""

    profile = find_profile("ci")

    def make(*extra: str, **options: object) -> Launch:
        return Launch(
            command,
            profile,
            str(tiny_model),
            free_port(),
            extra=extra,
            ready_timeout_s=START_TIMEOUT_S,
            stop_timeout_s=30,
            **options,  # type: ignore[arg-type]
        )

    return make


@contextmanager
def running(launch: Launch, log_file: Path) -> Iterator[Launch]:
    """The server while the block runs, in a loop of its own: tests have another each."""
    server = VllmServer(launch, log_file=log_file)
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        try:
            runner.run(server.start())
            runner.run(server.wait_ready())
            yield launch
        finally:
            runner.run(server.stop())


@pytest.fixture(scope="session")
def vllm(make_launch: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """The running server."""
    with running(make_launch(), tmp_path_factory.mktemp("logs") / "vllm.log") as launch:
        yield launch


@pytest.fixture
async def server_metrics(vllm: Launch) -> AsyncIterator[Callable[[], object]]:
    """Asks the server for its own figures."""

    async def fetch() -> ServerMetrics:
        metrics = await fetch_metrics(BackendSettings(base_url=vllm.base_url))
        assert metrics is not None
        return metrics

    yield fetch


@pytest.fixture
def tiny(make_models, vllm: Launch):
    """Models by settings that point to the server; `parameters` keep random words short."""
    return make_models(
        base_url=vllm.base_url,
        models={"main": {"served_name": "tiny", "grammar": "guidance", "parameters": {"max_tokens": 400}}},
        purposes=dict.fromkeys(("planner", "specialist", "synthesiser", "reviewer", "direct", "batch"), "main"),
        timeouts={"whole_answer_s": 110, "first_token_s": 60, "between_chunks_s": 60},
    )
