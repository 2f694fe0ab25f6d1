"""Starting, watching and stopping the server."""

import asyncio
import contextlib
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from inference.vllm.launch import Launch, VllmServer, Watch
from inference.vllm.serving_profile import Profile
from signalbox.errors import ToolFault, UserFault

PROFILE = Profile("none", Path("none.yaml"), {"COLOUR": "red"})


def script(tmp_path: Path, text: str) -> Launch:
    command = tmp_path / "vllm"
    command.write_text(f"#!/bin/sh\n{text}\n")
    command.chmod(0o700)
    return Launch(command, PROFILE, "model", 1, stop_timeout_s=0.3)


class Diary(Watch):
    """Notes what happened."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.deaths: list[str] = []
        super().__init__(on_progress=lambda _: None, on_ready=self.ready.set, on_death=self._died)

    def _died(self, reason: str, pause_s: float) -> None:
        self.ready.clear()
        self.deaths.append(reason)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_command_line_has_no_secret_and_says_where_to_listen(tmp_path):
    launch = replace(script(tmp_path, ""), api_key=SecretStr("sekret"), extra=("--seed", "1"))
    assert launch.arguments() == ["model", "--config", "none.yaml", "--host", "127.0.0.1", "--port", "1", "--seed", "1"]
    assert launch.environment()["VLLM_API_KEY"] == "sekret"
    assert "sekret" not in repr(launch)
    by_socket = replace(launch, unix_socket=Path("/run/v.sock"))
    assert by_socket.arguments()[3:5] == ["--uds", "/run/v.sock"]


async def test_a_missing_command_is_said_with_what_to_do(tmp_path):
    server = VllmServer(Launch(tmp_path / "nowhere", PROFILE, "model", 1), log_file=tmp_path / "log")
    with pytest.raises(UserFault, match="nowhere") as caught:
        await server.start()
    assert "make vllm" in caught.value.hint


async def test_the_socket_of_a_killed_server_is_taken_over_and_that_of_a_living_one_is_not(tmp_path):
    path = tmp_path / "v.sock"
    launch = replace(script(tmp_path, "exit 0"), unix_socket=path)
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(str(path))
    left_behind.close()
    server = VllmServer(launch, log_file=tmp_path / "log")
    await server.start()
    assert not path.exists()
    await server.stop()
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen()
        with pytest.raises(UserFault, match="Another server"):
            await server.start()
    path.unlink()
    path.write_text("a file of somebody's")
    with pytest.raises(UserFault, match="not a socket"):
        await server.start()
    assert path.exists()


async def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path):
    server = VllmServer(script(tmp_path, "echo no such model; echo $COLOUR; exit 3"), log_file=tmp_path / "log")
    with pytest.raises(ToolFault, match="no such model / red"):
        await server.supervise(Diary())
    assert server.pid is None


async def test_a_server_that_ignores_the_polite_signal_is_killed_with_its_children(tmp_path):
    launch = script(tmp_path, "trap '' TERM; sleep 60 & echo $!; wait; sleep 60")
    server = VllmServer(launch, log_file=tmp_path / "log")
    await server.start()
    child = 0
    async with asyncio.timeout(5):
        while not child:
            await asyncio.sleep(0.02)
            with contextlib.suppress(ValueError):
                child = int((await asyncio.to_thread((tmp_path / "log").read_text)).strip() or 0)
    parent = server.pid
    assert parent
    await server.stop()
    assert not alive(parent)
    async with asyncio.timeout(5):
        while alive(child) and not _zombie(child):
            await asyncio.sleep(0.02)


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.vllm
async def test_a_killed_server_is_started_again_and_its_key_and_socket_guard_it(make_launch, tmp_path):
    launch: Launch = make_launch(unix_socket=tmp_path / "v.sock", api_key=SecretStr("sekret"))
    server, diary = VllmServer(launch, log_file=tmp_path / "log"), Diary()
    task = asyncio.create_task(server.supervise(diary))
    try:
        await _until(diary.ready, task)
        first = server.pid
        assert first
        assert await _status(launch) == 200
        assert await _status(replace(launch, api_key=SecretStr("wrong"))) == 401
        assert await _status(replace(launch, api_key=None)) == 401
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while not diary.deaths:
                await asyncio.sleep(0.02)
        await _until(diary.ready, task)
        second = server.pid
        assert second
        assert second != first
        assert diary.deaths == ["it ended with code -9"]
        assert await _status(launch) == 200
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert server.pid is None
    assert not alive(second)


async def _until(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    waiter = asyncio.create_task(event.wait())
    await asyncio.wait({waiter, task}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        waiter.cancel()
        task.result()


async def _status(launch: Launch) -> int:
    async with launch.open_session() as http, http.get("/v1/models") as response:
        return response.status
