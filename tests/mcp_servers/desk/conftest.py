"""A desk with a small directory, called in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mcp import Client
from mcp.server.mcpserver import MCPServer
from pydantic import SecretStr

from mcp_servers.desk import DeskSettings
from mcp_servers.desk.desk import Desk
from mcp_servers.desk.people import replace_directory
from mcp_servers.desk.server import build_server
from mcp_servers.desk.tables import metadata
from mcp_servers.hosting import CALL_META, TOKEN_META, Caller, ServerConfig
from signalbox.identity import Chain, Principal, TokenMint

AUDIENCE = "mcp:desk"
MINT = TokenMint(SecretStr("test-master-secret-of-32-characters"))
PEOPLE = [
    ("ada", "Ada Verhulst", "Operations planner", "Operations", "Ghent"),
    ("bruno", "Bruno Esteves", "People partner", "People", "Porto"),
    ("priya.raman", "Priya Raman", "Service desk lead", "IT", "Leeds"),
    ("ines.carvalho", "Inês Carvalho", "Quality manager", "Quality", "Porto"),
    ("ines.pinto", "Inês Pinto", "Assembler", "Production", "Porto"),
    ("henrique.matos", "Henrique Matos", "Plant manager", "Production", "Porto"),
    ("lotte.peeters", "Lotte Peeters", "Plant manager", "Production", "Ghent"),
]
DIRECTORY = [
    {
        "user": user,
        "name": name,
        "email": f"{name.lower().replace(' ', '.').replace('ê', 'e')}@larkspur.example",
        "role": role,
        "department": department,
        "site": site,
        "phone_ext": "4001",
    }
    for user, name, role, department, site in PEOPLE
]
GROUPS = {"ada": ("staff", "operations"), "bruno": ("staff", "people"), "priya.raman": ("staff", "desk")}


def token(user: str, *, tenant: str = "default") -> str:
    """A token for the desk."""
    groups = frozenset(GROUPS.get(user, ("staff",)))
    return MINT.mint(Chain(principal=Principal(user=user, groups=groups, tenant=tenant), actors=("actions",)), AUDIENCE)


@dataclass
class Answer:
    """A tool result, good or bad."""

    error: str
    body: dict[str, Any]


class Call:
    """Calls the desk's tools as one of the people; each call is a session of its own."""

    def __init__(self, desk: Desk, server: MCPServer[Any]) -> None:
        self.desk = desk
        self.server = server

    async def __call__(
        self, tool: str, arguments: dict[str, Any], *, user: str = "ada", tenant: str = "default", **meta: Any
    ) -> Answer:
        told: Any = {TOKEN_META: token(user, tenant=tenant), CALL_META: meta}
        async with Client(self.server) as client:
            result = await client.call_tool(tool, arguments, meta=told)
        text = getattr(result.content[0], "text", "") if result.content else ""
        return Answer(error=text if result.is_error else "", body=result.structured_content or {})

    async def ok(self, tool: str, arguments: dict[str, Any], **how: Any) -> dict[str, Any]:
        """The result of a call that must succeed."""
        answer = await self(tool, arguments, **how)
        assert not answer.error
        return answer.body

    async def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that the desk's database holds."""
        async with self.desk.engine.connect() as connection:
            return {
                table.name.removeprefix("desk_"): sorted(
                    (tuple(row) for row in await connection.execute(sa.select(table))), key=lambda row: str(row[:2])
                )
                for table in metadata.sorted_tables
            }


@pytest.fixture
def settings(tmp_path: Path) -> DeskSettings:
    return DeskSettings(
        url=SecretStr(f"sqlite+aiosqlite:///{tmp_path}/desk.db"),
        teams={"logistics": frozenset({"operations"}), "people": frozenset({"people"})},
        outbox=tmp_path / "outbox",
    )


@pytest.fixture
async def connect(settings: DeskSettings) -> AsyncIterator[Callable[..., Awaitable[Call]]]:
    """Opens the desk, with changed settings where wanted."""
    desks: list[Desk] = []

    async def open_with(**changed: Any) -> Call:
        own = settings.model_copy(update=changed)
        desk = Desk(own)
        desks.append(desk)
        await desk.open()
        await replace_directory(desk.engine, DIRECTORY, "default")
        config = ServerConfig[DeskSettings](audience=AUDIENCE, key=MINT.key_for(AUDIENCE), settings=own)
        return Call(desk, build_server(desk, Caller(config)))

    yield open_with
    for desk in desks:
        await desk.close()


@pytest.fixture
async def call(connect: Callable[..., Awaitable[Call]]) -> Call:
    return await connect()


PRINTER = {
    "title": "Label printer stuck",
    "description": "The printer at dock 2 prints nothing since this morning.",
    "category": "it",
    "priority": "high",
    "site": "Leeds",
}
