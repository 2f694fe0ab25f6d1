"""The knowledge server as the process that it is in production: stdio and HTTP, one writer, quick to start."""

import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from mcp_servers.hosting import CONFIG_ENV, HttpBinding, dump_config
from tests.mcp_servers.knowledge_world import ADA, AUDIENCE, MINT, OPERATOR, config, meta, write_folder

_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = ["-m", "mcp_servers.knowledge"]


def _environment(data_dir: Path, http: HttpBinding | None = None) -> dict[str, str]:
    return {**os.environ, CONFIG_ENV: dump_config(config(data_dir, http))}


def _stdio(data_dir: Path) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=_COMMAND, env=_environment(data_dir), cwd=_ROOT)


@pytest.mark.timeout(60)
async def test_over_stdio_a_folder_is_taken_and_answers_with_the_real_embedder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "docs")
    async with Client(_stdio(tmp_path / "data")) as client:
        arguments = {"path": str(folder), "access": ["everyone"]}
        report = await client.call_tool("ingest_folder", arguments, meta=meta(OPERATOR))
        assert not report.is_error, report.content
        found = await client.call_tool("search", {"query": "How many weeks may new parents stay home?"}, meta=meta(ADA))
        again = await client.call_tool("ingest_folder", arguments, meta=meta(OPERATOR))
    assert found.structured_content is not None
    assert "20 weeks" in found.structured_content["evidence"][0]["text"]
    assert again.structured_content is not None
    assert again.structured_content["unchanged"] == 2
    assert not (tmp_path / "data" / "knowledge" / "chroma.open").exists(), "it was closed cleanly"


@pytest.mark.timeout(60)
async def test_a_second_process_is_refused_with_words_not_a_traceback(tmp_path: Path) -> None:
    async with Client(_stdio(tmp_path)):
        second = await asyncio.create_subprocess_exec(
            sys.executable,
            *_COMMAND,
            env=_environment(tmp_path),
            cwd=_ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await second.communicate()
    assert second.returncode == 1
    assert b"is in use by process" in said
    assert b"Traceback" not in said


@pytest.mark.timeout(60)
async def test_over_http_the_same_tools_answer_behind_the_servers_key(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = await asyncio.create_subprocess_exec(
        sys.executable, *_COMMAND, env=_environment(tmp_path, HttpBinding(port=port)), cwd=_ROOT
    )
    url = f"http://127.0.0.1:{port}/mcp"
    try:
        key = MINT.key_for(AUDIENCE).get_secret_value()
        async with (
            httpx2.AsyncClient() as stranger,
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as bus,
        ):
            await _wait_for(stranger, url)
            assert (await stranger.post(url, json={})).status_code == 401
            async with Client(streamable_http_client(url, http_client=bus)) as client:
                sources = await client.call_tool("list_sources", {}, meta=meta(ADA))
                assert sources.structured_content == {"sources": []}
    finally:
        server.terminate()
        await server.wait()


async def _wait_for(client: httpx2.AsyncClient, url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            await client.get(url)
            return
        except httpx2.TransportError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
