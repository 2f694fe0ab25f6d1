"""Start, stop, start again, die, be asked for nonsense."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from tests.system.conftest import ROOT, Running, environment, free_port, start

pytestmark = pytest.mark.timeout(300)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pids: list[int]) -> list[int]:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and any(is_alive(pid) for pid in pids):
        time.sleep(0.1)
    return [pid for pid in pids if is_alive(pid)]


def signalbox(*arguments: str, data_dir: Path, port: int, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "signalbox", *arguments],
        cwd=ROOT,
        env=environment(data_dir, port, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_ctrl_c_ends_every_process_and_a_second_start_finds_everything(tmp_path: Path) -> None:
    data_dir = tmp_path / "var"
    first = start(data_dir)
    keys, children = first.keys, children_of(first.process.pid)
    assert len(children) >= 3
    assert (data_dir / "keys.json").stat().st_mode & 0o777 == 0o600
    assert first.stop() == 0
    assert wait_until_gone(children) == []
    second = start(data_dir)
    try:
        assert second.keys == keys
        assert "Reading the demo documents" not in second.log.read_text()
    finally:
        second.stop()


def test_killed_without_warning_it_leaves_no_orphans_and_starts_again(tmp_path: Path) -> None:
    first = start(tmp_path / "var")
    children = children_of(first.process.pid)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(10)
    assert wait_until_gone(children) == []
    second = start(tmp_path / "var")
    second.stop()


def test_a_dead_tool_server_is_said_and_comes_back(system: Running) -> None:
    victims = [
        pid
        for pid in children_of(system.process.pid)
        if b"mcp_servers.operations" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(victims[0], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        reply = system.ask("ada", "How many open orders are there in Porto?")
        assert "Traceback" not in reply["choices"][0]["message"]["content"]
        if reply["signalbox"]["steps"][0]["status"] == "ok":
            return
        time.sleep(0.5)
    raise AssertionError("the operations server did not come back")


def test_a_taken_port_is_named(system: Running, tmp_path: Path) -> None:
    port = int(system.url.rsplit(":", 1)[1])
    done = signalbox("up", data_dir=tmp_path / "var", port=port)
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_against_nothing_say_what_to_do(tmp_path: Path) -> None:
    port = free_port()
    no_folder = signalbox("ingest", str(tmp_path / "nowhere"), data_dir=tmp_path / "var", port=port)
    no_server = signalbox("ask", "hello", "--as", f"sk-sb-{'0' * 16}-{'x' * 43}", data_dir=tmp_path / "var", port=port)
    bad_setting = signalbox("config", "show", data_dir=tmp_path / "var", port=port, SIGNALBOX__GATEWAY__PROT="1")
    assert [no_folder.returncode, no_server.returncode, bad_setting.returncode] == [1, 1, 1]
    assert "There is no folder" in no_folder.stderr
    assert "Start Signalbox with `signalbox up`" in no_server.stderr
    assert "gateway.prot" in bad_setting.stderr.lower()
    for done in (no_folder, no_server, bad_setting):
        assert "Traceback" not in done.stderr


def test_the_index_is_built_anew_and_rolled_back_while_the_system_runs(system: Running) -> None:
    data_dir, port = system.data_dir, int(system.url.rsplit(":", 1)[1])

    def index(action: str) -> subprocess.CompletedProcess[str]:
        return signalbox("index", action, "--json", data_dir=data_dir, port=port)

    nowhere, built, back, checked = index("roll-back"), index("rebuild"), index("roll-back"), index("check")
    assert (nowhere.returncode, "no index before this one" in nowhere.stderr) == (1, True)
    assert [done.returncode for done in (built, back, checked)] == [0, 0, 0]
    assert json.loads(built.stdout)["before"] == json.loads(back.stdout)["serving"]
    assert json.loads(checked.stdout)["green"]


def test_the_index_of_a_system_that_does_not_run_is_looked_after_in_place(tmp_path: Path) -> None:
    port = free_port()
    checked = signalbox("index", "check", data_dir=tmp_path / "var", port=port)
    nothing = signalbox("index", "roll-back", data_dir=tmp_path / "var", port=port)
    assert (checked.returncode, checked.stdout) == (0, "Everything agrees.\n")
    assert (nothing.returncode, "It gets one with its first document" in nothing.stderr) == (1, True)


def test_a_model_server_that_is_not_there_is_named_in_the_answer(tmp_path: Path) -> None:
    missing = f"http://127.0.0.1:{free_port()}"
    data_dir = tmp_path / "var"
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "signalbox", "up"],
            cwd=ROOT,
            env=environment(data_dir, port, SIGNALBOX__INFERENCE__BASE_URL=missing, SIGNALBOX__DEMO__ENABLED="false"),
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (data_dir / "keys.json").exists():
            time.sleep(0.2)
        running = Running(process, url, data_dir, tmp_path / "log")
        while time.monotonic() < deadline:
            try:
                ready = httpx2.get(f"{url}/readyz", timeout=5)
                break
            except httpx2.TransportError:
                time.sleep(0.2)
        assert ready.status_code == 503
        body = {"model": "signalbox", "messages": [{"role": "user", "content": "What is our leave policy?"}]}
        with running.client("ada") as client:
            reply = client.post("/v1/chat/completions", json=body)
        assert reply.status_code == 503
        assert missing in reply.json()["error"]["message"]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
