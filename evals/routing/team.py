"""The specialists' cards and the tools of the three servers as a turn sees them, over the demo's databases."""

from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from autogen_core.tools import ToolSchema
from mcp.server.mcpserver import MCPServer
from pydantic import SecretStr

from agents.specialists.base import Profile
from demo.database import build_operations
from mcp_servers.desk.desk import Desk
from mcp_servers.desk.server import build_server as desk_server
from mcp_servers.desk.settings import DeskSettings
from mcp_servers.hosting import Caller, ServerConfig
from mcp_servers.knowledge.reading import ReadingTools
from mcp_servers.operations.opening import open_service
from mcp_servers.operations.server import build_server as operations_server
from mcp_servers.operations.settings import OperationsSettings

TODAY = date(2026, 11, 20)
_SPECIALISTS = ("knowledge", "data", "actions", "generalist")


@dataclass(frozen=True)
class Team:
    """What the planner is told, and what each specialist may call."""

    cards: tuple[dict[str, Any], ...]
    tools: dict[str, list[ToolSchema]]


async def assemble(folder: Path) -> Team:
    """The demo's databases are written into `folder`; nothing is called, so no service runs."""
    database = folder / "operations.db"
    build_operations(database)
    settings = OperationsSettings(url=SecretStr(f"sqlite:///{database}"), today=TODAY)
    caller = Caller(ServerConfig[OperationsSettings](audience="mcp:eval", key=SecretStr("k" * 32), settings=settings))
    service = await open_service(settings)
    desk = Desk(DeskSettings(url=SecretStr(f"sqlite+aiosqlite:///{folder / 'desk.db'}")))
    reading: MCPServer[Any] = MCPServer("knowledge")
    ReadingTools(cast(Any, None), caller).register(reading)
    servers = {
        "knowledge": reading,
        "operations": operations_server(service, caller),
        "desk": desk_server(desk, caller),
    }
    tools = [schema for name, server in servers.items() for schema in await _schemas(name, server)]
    await service.close()
    await desk.close()
    cards: list[dict[str, Any]] = []
    held: dict[str, list[ToolSchema]] = {}
    for name in _SPECIALISTS:
        profile: Profile = import_module(f"agents.specialists.{name}").SPECIALIST
        mine = [tool for tool in tools if any(fnmatchcase(tool["name"], pattern) for pattern in profile.tools)]
        held[name] = mine
        cards.append(
            {
                "name": profile.name,
                "description": profile.description,
                "examples": list(profile.examples),
                "tools": [tool["name"] for tool in mine],
                "health": "up",
            }
        )
    return Team(tuple(cards), held)


async def _schemas(server: str, built: MCPServer[Any]) -> list[ToolSchema]:
    return [
        ToolSchema(
            name=f"{server}__{tool.name}",
            description=tool.description or "",
            parameters=cast(Any, tool.input_schema),
            strict=False,
        )
        for tool in await built.list_tools()
    ]
