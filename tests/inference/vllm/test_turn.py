"""The whole assistant on a real vLLM: `signalbox up` as a process, a turn over HTTP."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from jsonschema import validate

from inference.vllm.launch import Launch
from tests.system.conftest import Running, start

pytestmark = pytest.mark.vllm

QUESTION = "How many days a week may I work remotely?"


@pytest.fixture(scope="module")
def assistant(vllm: Launch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    model = {"served_name": "tiny", "grammar": "guidance", "parameters": {"max_tokens": 200, "seed": 1}}
    endless = {**model, "parameters": {"max_tokens": 20_000, "min_tokens": 20_000, "ignore_eos": True}}
    running = start(
        tmp_path_factory.mktemp("assistant") / "var",
        SIGNALBOX__INFERENCE__BASE_URL=vllm.base_url,
        SIGNALBOX__INFERENCE__MODEL="tiny",
        SIGNALBOX__INFERENCE__MODELS=json.dumps({"tiny": model, "endless": endless}),
        SIGNALBOX__INFERENCE__OFFERED=json.dumps({"endless": ["everyone"]}),
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


def complete(assistant: Running, **body: object) -> dict:
    asked = {"model": "direct", "messages": [{"role": "user", "content": "Do it."}], **body}
    with assistant.client("ada") as client:
        response = client.post("/v1/chat/completions", json=asked)
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]


def test_direct_honours_the_callers_schema_and_the_callers_tools(assistant: Running):
    schema = {
        "type": "object",
        "properties": {"urgent": {"type": "boolean"}, "kind": {"enum": ["fault", "wish"]}},
        "required": ["urgent", "kind"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "ticket", "schema": schema}}
    found = complete(assistant, response_format=wanted)
    validate(json.loads(found["message"]["content"]), schema)
    tool = {"type": "function", "function": {"name": "open_ticket", "parameters": schema}}
    found = complete(assistant, tools=[tool], tool_choice="required", parallel_tool_calls=False)
    (call,) = found["message"]["tool_calls"]
    assert (found["finish_reason"], call["function"]["name"]) == ("tool_calls", "open_ticket")
    validate(json.loads(call["function"]["arguments"]), schema)


def hand_in(client: httpx2.Client, lines: list[dict]) -> str:
    content = "\n".join(json.dumps({"custom_id": str(n), "body": body}) for n, body in enumerate(lines))
    uploaded = client.post("/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", content.encode())})
    body = {"input_file_id": uploaded.json()["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    return client.post("/v1/batches", json=body).json()["id"]


def ended(client: httpx2.Client, batch_id: str) -> dict:
    while (found := client.get(f"/v1/batches/{batch_id}").json())["status"] in (
        "validating",
        "in_progress",
        "cancelling",
    ):
        time.sleep(0.2)
    return found


async def test_a_batch_of_bare_calls_and_of_whole_turns_runs_on_vllm(assistant: Running, server_metrics):
    before = await server_metrics()
    messages = [{"role": "user", "content": QUESTION}]
    lines = [{"model": "direct", "max_tokens": 20, "messages": messages} for _ in range(12)]
    lines.append({"model": "signalbox", "messages": messages})
    with assistant.client("ada") as client:
        done = ended(client, hand_in(client, lines))
        content = client.get(f"/v1/files/{done['output_file_id']}/content").text
    after = await server_metrics()
    assert done["request_counts"] == {"total": 13, "completed": 13, "failed": 0}
    bodies = [json.loads(line)["response"]["body"] for line in content.splitlines()]
    assert (
        sum(body["usage"]["completion_tokens"] for body in bodies) == after.generated_tokens - before.generated_tokens
    )
    assert {body["signalbox"]["engine"] for body in bodies} == {"tiny"}


async def test_cancelling_a_batch_stops_its_lines_at_vllm(assistant: Running, server_metrics):
    messages = [{"role": "user", "content": "Never stop."}]
    lines = [{"model": "endless", "messages": messages} for _ in range(20)]
    with assistant.client("ada") as client:
        batch_id = hand_in(client, lines)
        while (await server_metrics()).running < 4:
            time.sleep(0.05)
        client.post(f"/v1/batches/{batch_id}/cancel")
        done = ended(client, batch_id)
    assert (done["status"], done["request_counts"]["failed"]) == ("cancelled", 20)
    while (await server_metrics()).running:
        time.sleep(0.05)


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
