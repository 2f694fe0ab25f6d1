"""Releases as an operator handles them, on a system that people are using: made, judged, promoted, rolled back."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import ROOT, Running, environment, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(890)]

QUESTION = "How many days a week may I work remotely?"


class Operator:
    """Runs `signalbox release …` in the folder of one installation."""

    def __init__(self, running: Running, folder: Path) -> None:
        self._environment = environment(running.data_dir, 0, SIGNALBOX__RELEASES__FOLDER=str(folder))

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        run = [sys.executable, "-m", "signalbox", "release", *arguments]
        return subprocess.run(run, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)

    def json(self, *arguments: str) -> dict:
        done = self(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class People:
    """Eight who ask all the time, each in a conversation of their own."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(8)]
        self.answers: list[tuple[str, str]] = []
        self.failures: list[str] = []

    def __enter__(self) -> "People":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def until_answered(self, number: int) -> None:
        wanted = len(self.answers) + number
        while len(self.answers) < wanted and not self.failures:
            time.sleep(0.05)

    def _ask(self) -> None:
        conversation: str | None = None
        with self._running.client("ada") as client:
            while not self._stop.is_set():
                body = {
                    "model": "signalbox",
                    "messages": [{"role": "user", "content": QUESTION}],
                    "signalbox": {"conversation_id": conversation},
                }
                response = client.post("/v1/chat/completions", json=body)
                if response.status_code != 200:
                    self.failures.append(response.text)
                    return
                found = response.json()["signalbox"]
                conversation = found["conversation_id"]
                self.answers.append((conversation, found["release"]))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Operator, Path]]:
    home = tmp_path_factory.mktemp("releases")
    folder = home / "releases"
    running = start(
        home / "var", SIGNALBOX__RELEASES__FOLDER=str(folder), SIGNALBOX__GATEWAY__REQUESTS_PER_MINUTE="100000"
    )
    yield running, Operator(running, folder), folder
    running.stop()


def test_a_release_goes_live_and_back_while_people_ask_and_no_request_is_lost(house, tmp_path: Path):
    running, release, folder = house
    made = release.json("create", "winter", "--note", "As it is")
    assert made["tools"]
    refused = release("promote", "winter")
    assert (refused.returncode, "winter" in refused.stderr) == (1, True), "nobody has judged it"

    judged = release.json("validate", "winter")
    assert judged["passed"], judged
    sections = {section["name"] for section in judged["sections"]}
    assert sections == {"quality", "routing", "safety", "bias"}
    assert judged["latency"]["passed"]
    assert json.loads((folder / "winter/report.json").read_text()) == judged, "the report is kept"

    (tmp_path / "planner.md").write_text((folder / "winter/prompts/planner.md").read_text() + "\nBe brief.\n")
    release.json("create", "spring", "--prompts", str(tmp_path))
    difference = release.json("diff", "winter", "spring")
    assert list(difference) == ["prompts/planner.md"]
    assert "+Be brief." in difference["prompts/planner.md"]

    with People(running) as people:
        people.until_answered(8)
        assert release.json("promote", "winter", "--canary", "0.5")["canary"] == "winter"
        people.until_answered(60)
        during = people.answers[-40:]
        assert release.json("promote", "winter")["live"] == "winter"
        people.until_answered(24)
        live = {name for _, name in people.answers[-8:]}
        began = time.monotonic()
        assert release.json("rollback")["live"] == "built-in"
        took_s = time.monotonic() - began
        people.until_answered(24)
        back = {name for _, name in people.answers[-8:]}
    assert people.failures == []
    assert live == {"winter"}
    assert back == {"built-in"}
    by_conversation: dict[str, set[str]] = {}
    for conversation, name in during:
        by_conversation.setdefault(conversation, set()).add(name)
    assert all(len(names) == 1 for names in by_conversation.values()), "a conversation keeps its side of the canary"
    print(f"rollback command: {took_s:.2f} s; answers by release: {Counter(name for _, name in people.answers)}")
