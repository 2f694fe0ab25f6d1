"""The demo's operations database with a canary in it, and the server over it in memory."""

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer
from pydantic import SecretStr

from demo.database import build_operations
from mcp_servers.hosting import TOKEN_META, Caller, ServerConfig
from mcp_servers.operations import OperationsSettings
from mcp_servers.operations.opening import open_service
from mcp_servers.operations.server import build_server
from mcp_servers.operations.service import OperationsService
from signalbox.identity import Chain, Principal, TokenMint

TODAY = date(2026, 11, 20)
CANARY = "CANARY-7f3a91"
AUDIENCE = "mcp:operations"
MINT = TokenMint(SecretStr("test-master-secret-of-32-characters"))


def token(user: str, *groups: str) -> str:
    """A token for the operations server."""
    return MINT.mint(Chain(principal=Principal(user=user, groups=frozenset(groups)), actors=("data",)), AUDIENCE)


def digest(path: Path) -> str:
    """What is in the file, as a hash."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Answer:
    """A tool result, good or bad."""

    error: str
    body: dict[str, Any]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo database, with a table that no catalogue names and a salary band that nobody else has."""
    path = tmp_path_factory.mktemp("operations") / "operations.db"
    build_operations(path)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE payroll (person TEXT, note TEXT)")
        connection.execute("INSERT INTO payroll VALUES ('Ada Verhulst', ?)", (CANARY,))
        connection.execute("UPDATE people SET salary_band = ? WHERE name = 'Saskia De Wilde'", (CANARY,))
    connection.close()
    return path


@pytest.fixture
def settings(database: Path) -> OperationsSettings:
    return OperationsSettings(url=SecretStr(f"sqlite:///{database}"), today=TODAY)


class Ask:
    """Calls the tools of one server in memory; each call is a session of its own, in the test's task."""

    def __init__(self, service: OperationsService, server: MCPServer[Any]) -> None:
        self.service = service
        self.server = server

    async def __call__(self, tool: str, arguments: dict[str, Any], *groups: str, user: str = "ada") -> Answer:
        meta: Any = {TOKEN_META: token(user, *(groups or ("staff",)))}
        async with Client(self.server) as client:
            result = await client.call_tool(tool, arguments, meta=meta)
        text = getattr(result.content[0], "text", "") if result.content else ""
        return Answer(error=text if result.is_error else "", body=result.structured_content or {})


@pytest.fixture
async def connect(settings: OperationsSettings) -> AsyncIterator[Callable[..., Awaitable[Ask]]]:
    """Opens a server with changed settings."""
    services: list[OperationsService] = []

    async def open_with(**changed: Any) -> Ask:
        own = settings.model_copy(update=changed)
        services.append(await open_service(own))
        config = ServerConfig[OperationsSettings](audience=AUDIENCE, key=MINT.key_for(AUDIENCE), settings=own)
        return Ask(services[-1], build_server(services[-1], Caller(config)))

    yield open_with
    for service in services:
        await service.close()


@pytest.fixture
async def ask(connect: Callable[..., Awaitable[Ask]]) -> Ask:
    return await connect()
