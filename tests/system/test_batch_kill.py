"""A batch over real processes: killed in the middle, it goes on, and what was answered is not asked again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.conftest import Running, environment, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

LINES = 60
QUESTIONS = ("How many days a week may I work remotely?", "Who do I call when a scanner is broken?")


@pytest.fixture
def requests_file(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    lines = [
        {"custom_id": f"q{n}", "body": {"model": "signalbox", "messages": [{"role": "user", "content": question}]}}
        for n, question in enumerate(QUESTIONS[n % 2] for n in range(LINES))
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def command(running: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`signalbox batch …` as ada, against the running system."""
    run = [sys.executable, "-m", "signalbox", "batch", *arguments, "--as", running.keys["ada"], "--url", running.url]
    return subprocess.run(run, env=environment(running.data_dir, 0), capture_output=True, text=True, check=False)


def by_id(text: str) -> dict[str, str]:
    return {json.loads(line)["custom_id"]: line for line in text.splitlines()}


def test_a_killed_batch_goes_on_and_asks_nothing_again_that_was_answered(tmp_path: Path, requests_file: Path):
    data_dir = tmp_path / "var"
    first = start(data_dir)
    made = json.loads(command(first, "run", str(requests_file), "--no-wait", "--json").stdout)
    before: dict[str, str] = {}
    until = time.monotonic() + 200
    while len(before) < LINES // 3:
        assert time.monotonic() < until
        before = by_id(command(first, "results", made["id"]).stdout)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(10)
    second = start(data_dir)
    try:
        while (found := json.loads(command(second, "status", made["id"], "--json").stdout))["status"] == "in_progress":
            time.sleep(0.3)
        assert (found["status"], found["request_counts"]) == (
            "completed",
            {"total": LINES, "completed": LINES, "failed": 0},
        )
        after = by_id(command(second, "results", made["id"]).stdout)
        assert list(after) == [f"q{n}" for n in range(LINES)]
        assert {name: after[name] for name in before} == before, "the same bytes, with the same run ids"
        runs = [json.loads(line)["response"]["body"]["signalbox"]["run_id"] for line in after.values()]
        assert len(set(runs)) == LINES
        with second.client("ada") as client:
            assert client.get("/v1/conversations").json()["data"] == []
    finally:
        second.stop()


def test_the_command_waits_prints_results_and_says_by_its_exit_code_what_failed(tmp_path: Path, requests_file: Path):
    running = start(tmp_path / "var")
    try:
        output = tmp_path / "out.jsonl"
        done = command(running, "run", str(requests_file), "--output", str(output))
        assert (done.returncode, done.stdout) == (0, "")
        assert len(by_id(output.read_text())) == LINES
        body = {"model": "nothing", "messages": [{"role": "user", "content": "Hello?"}]}
        requests_file.write_text(json.dumps({"custom_id": "a", "body": body}))
        failed = command(running, "run", str(requests_file))
        assert (failed.returncode, failed.stdout) == (1, "")
        assert "1 failed" in failed.stderr
        batch_id = json.loads(command(running, "list", "--json").stdout)[0]["id"]
        errors = by_id(command(running, "results", batch_id, "--errors").stdout)
        assert json.loads(errors["a"])["response"]["status_code"] == 404
        requests_file.write_text("nonsense")
        refused = command(running, "run", str(requests_file))
        assert (refused.returncode, "not valid JSON" in refused.stderr) == (1, True)
        ended = command(running, "cancel", batch_id)
        assert (ended.returncode, "completed already" in ended.stderr) == (1, True)
    finally:
        running.stop()
