"""`signalbox inference serve` as an operator runs it, on a server that admits certificates of one authority alone."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from autogen_core.models import UserMessage

from inference.vllm.serving_profile import find_profile
from tests.inference.conftest import scope_for
from tests.inference.test_access import Authority
from tests.inference.vllm.conftest import ROOT, START_TIMEOUT_S, free_port

pytestmark = pytest.mark.vllm


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def profile(tmp_path: Path, authority: Authority) -> Path:
    """The profile of the tests, with certificates in both directions."""
    ours, certificate = find_profile("ci").config, authority.issue("server")
    lines = {
        "ssl-certfile": certificate,
        "ssl-keyfile": certificate,
        "ssl-ca-certs": authority.file,
        "ssl-cert-reqs": 2,
    }
    profile = tmp_path / "tls.yaml"
    profile.write_text(ours.read_text() + "".join(f"{name}: {value}\n" for name, value in lines.items()))
    shutil.copy(ours.with_suffix(".env"), profile.with_suffix(".env"))
    return profile


async def test_it_says_when_it_is_ready_admits_who_has_a_certificate_and_stops_cleanly(
    make_models, command: Path, tiny_model: Path, authority: Authority, profile: Path, tmp_path: Path
):
    port = free_port()
    ours = {"ca_file": str(authority.file), "certificate_file": str(authority.issue("signalbox"))}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX__")}
    settings = {"SIGNALBOX__INFERENCE__TLS": json.dumps(ours), "SIGNALBOX__DATA_DIR": str(tmp_path / "var")}
    serve = [sys.executable, "-m", "signalbox", "inference", "serve", str(profile)]
    arguments = ["--model", str(tiny_model), "--port", str(port), "--command", str(command)]
    told = tmp_path / "told"
    with told.open("wb") as out:
        process = subprocess.Popen([*serve, *arguments], cwd=ROOT, env={**kept, **settings}, stdout=out, stderr=out)
    try:
        until = time.monotonic() + START_TIMEOUT_S
        while "vLLM is ready" not in told.read_text():
            assert process.poll() is None, told.read_text()
            assert time.monotonic() < until, told.read_text()
            time.sleep(0.2)
        backend = {"base_url": f"https://127.0.0.1:{port}", "model": "tiny", "retries": {"backoff_s": 0}}
        ask = [UserMessage(content="Hello?", source="user")]
        few = {"max_tokens": 30, "min_tokens": 30, "ignore_eos": True}
        known = make_models(**backend, tls=ours).client("direct", scope_for())
        assert (await known.create(ask, extra_create_args=few)).usage.completion_tokens == 30
        without_certificate = ssl.create_default_context(cafile=str(authority.file))
        connector = aiohttp.TCPConnector(ssl=without_certificate)
        async with aiohttp.ClientSession(backend["base_url"], connector=connector) as stranger:
            with pytest.raises(aiohttp.ClientError):
                await stranger.get("/health")
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(100)
    assert code == 0
    assert "Stopped." in told.read_text()
