"""The operations server as a process: over stdio, over HTTP, and when it cannot start."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from pydantic import SecretStr

from mcp_servers.hosting import CONFIG_ENV, TOKEN_META, HttpBinding, ServerConfig, dump_config
from mcp_servers.operations import OperationsSettings
from tests.mcp_servers.operations.conftest import AUDIENCE, MINT, token

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.timeout(40)


def environment(settings: OperationsSettings, http: HttpBinding | None = None) -> dict[str, str]:
    """What the supervisor puts into the process's environment."""
    key = MINT.key_for(AUDIENCE)
    config = ServerConfig[OperationsSettings](audience=AUDIENCE, key=key, settings=settings, http=http)
    return {CONFIG_ENV: dump_config(config), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}


async def headcount(client: Client) -> str:
    meta: Any = {TOKEN_META: token("ada", "staff")}
    result = await client.call_tool("query_metric", {"query": {"metric": "headcount", "site": "Porto"}}, meta=meta)
    return (result.structured_content or {})["summary"]


async def test_it_answers_over_stdio(settings: OperationsSettings):
    command = [sys.executable, "-m", "mcp_servers.operations"]
    server = StdioServerParameters(command=command[0], args=command[1:], env=environment(settings), cwd=ROOT)
    async with Client(server) as client:
        assert await headcount(client) == "82 people work at Porto in all departments on 2026-11-20."


@contextlib.asynccontextmanager
async def over_http(settings: OperationsSettings) -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-m", "mcp_servers.operations"], env=environment(settings, HttpBinding(port=port)), cwd=ROOT
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                break
            await asyncio.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        child.send_signal(signal.SIGTERM)
        await asyncio.to_thread(child.wait, 10)


async def test_it_answers_over_http_to_whoever_has_its_key(settings: OperationsSettings):
    key = MINT.key_for(AUDIENCE).get_secret_value()
    owner = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"})
    async with over_http(settings) as url, owner, httpx2.AsyncClient() as stranger:
        async with Client(streamable_http_client(url, http_client=owner)) as client:
            assert (await headcount(client)).startswith("82 people work at Porto")
        refused = await stranger.post(url, json={})
        assert refused.status_code == 401


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"url": SecretStr("sqlite:////nowhere/at-all.db")},
            "operations: The operations database 'at-all.db' cannot be",
        ),
        ({"url": SecretStr("mysql://x/y")}, "operations: operations.url names 'mysql'. Use sqlite:///"),
        (
            {"catalogue": Path("/nowhere/metrics.yaml")},
            "operations: The catalogue '/nowhere/metrics.yaml' cannot be read",
        ),
    ],
)
def test_it_says_why_it_cannot_start(settings: OperationsSettings, changed: dict[str, Any], said: str):
    told = environment(settings.model_copy(update=changed))
    ended = subprocess.run(
        [sys.executable, "-m", "mcp_servers.operations"],
        env=told,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(said)
    assert "Traceback" not in ended.stderr
