"""The whole assistant on a real vLLM: `signalbox up` as a process, a turn over HTTP."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.vllm.launch import Launch
from tests.system.conftest import Running, start

pytestmark = pytest.mark.vllm

QUESTION = "How many days a week may I work remotely?"


@pytest.fixture(scope="module")
def assistant(vllm: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    model = {"served_name": "tiny", "grammar": "guidance", "parameters": {"max_tokens": 200, "seed": 1}}
    running = start(
        tmp_path_factory.mktemp("assistant") / "var",
        SIGNALBOX__INFERENCE__BASE_URL=vllm.base_url,
        SIGNALBOX__INFERENCE__MODEL="tiny",
        SIGNALBOX__INFERENCE__MODELS=json.dumps({"tiny": model}),
    )
    yield running
    running.stop()


def events_of(assistant: Running, run_id: str) -> list[dict]:
    with assistant.client("ada") as client:
        listed = client.get(f"/v1/runs/{run_id}/events", headers={"accept": "application/json"})
    return listed.json()["data"]


async def test_a_turn_is_planned_worked_on_and_answered_by_vllm(assistant: Running, server_metrics):
    before = await server_metrics()
    reply = assistant.ask("ada", QUESTION)
    after = await server_metrics()
    assert reply["signalbox"]["engine"] == "tiny"
    usage = reply["usage"]
    assert usage["completion_tokens"] > 0
    assert usage["prompt_tokens"] == after.prompt_tokens - before.prompt_tokens
    assert usage["completion_tokens"] == after.generated_tokens - before.generated_tokens
    events = events_of(assistant, reply["signalbox"]["run_id"])
    kinds = [event["type"] for event in events]
    assert kinds[0] == "run.started"
    assert kinds[-1] == "run.finished"
    assert kinds.count("plan.made") >= 1
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
    starts = {event["step_id"]: n for n, event in enumerate(events) if event["type"] == "step.started"}
    ends = {event["step_id"]: n for n, event in enumerate(events) if event["type"] == "step.finished"}
    assert starts.keys() <= ends.keys()
    assert all(kinds.index("plan.made") < starts[step] < ends[step] for step in starts)


def test_a_turn_streams_and_says_what_it_used(assistant: Running):
    body = {
        "model": "signalbox",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": QUESTION}],
    }
    chunks, done = [], False
    with assistant.client("ada") as client, client.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            if line == "data: [DONE]":
                done = True
            elif line.startswith("data: "):
                chunks.append(json.loads(line.removeprefix("data: ")))
    assert done
    assert not [chunk["error"] for chunk in chunks if "error" in chunk]
    assert next(chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage"))["completion_tokens"] > 0


def test_direct_goes_straight_to_the_model(assistant: Running):
    body = {"model": "direct", "messages": [{"role": "user", "content": "Say something."}]}
    with assistant.client("ada") as client:
        response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    assert response.json()["usage"]["completion_tokens"] > 0


def test_the_commands_see_the_server(vllm: Launch, tmp_path: Path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX__")}
    environment = {**kept, "SIGNALBOX__INFERENCE__BASE_URL": vllm.base_url, "SIGNALBOX__DATA_DIR": str(tmp_path)}
    run = [sys.executable, "-m", "signalbox", "inference"]

    def figures(*arguments: str) -> object:
        done = subprocess.run([*run, *arguments, "--json"], env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    (backend,) = figures("status")  # type: ignore[misc]
    assert (backend["state"], backend["models"]) == ("up", ["tiny"])
    assert backend["metrics"]["running"] == 0
    load = [
        "--requests",
        "6",
        "--concurrency",
        "3",
        "--prompt-words",
        "60",
        "--shared-words",
        "50",
        "--output-tokens",
        "20",
    ]
    report = figures("bench", *load)
    assert isinstance(report, dict)
    assert (report["requests"], report["failed"], report["output_tokens"]) == (6, 0, 120)
    assert report["first_token_p50_ms"] <= report["duration_p50_ms"]
    assert report["prefix_hit_share"] > 0
