"""The tool servers: the three that come with Signalbox, and whatever `mcp.json` adds."""

import os
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from mcp_servers.desk.settings import DeskSettings
from mcp_servers.hosting import CONFIG_ENV, HttpBinding, ServerConfig, dump_config
from mcp_servers.knowledge.settings import KnowledgeServerSettings
from mcp_servers.operations.settings import OperationsSettings
from signalbox.database import sqlite_url
from signalbox.errors import UserFault
from signalbox.identity import TokenMint
from signalbox.settings import Settings
from signalbox.wiring.paths import Paths
from toolbus.mcp_json import load_mcp_json
from toolbus.settings import OpenApiSpec, ServerSpec

BUILT_IN = ("knowledge", "operations", "desk")
INGEST_TIMEOUT_S = 24 * 3600.0
_TO_SAY_S = 5.0


def audience_of(name: str) -> str:
    """The audience for which tokens of a built-in server are minted."""
    return f"mcp:{name}"


def server_settings(name: str, settings: Settings, paths: Paths) -> BaseModel:
    """What a built-in server is told, from the settings of the whole."""
    match name:
        case "knowledge":
            return KnowledgeServerSettings(data_dir=settings.data_dir.resolve(), knowledge=settings.knowledge)
        case "operations":
            url = settings.operations.url
            return OperationsSettings(
                url=url or SecretStr(f"sqlite:///{paths.operations.resolve()}"),
                catalogue=settings.operations.catalogue,
                today=settings.demo.today if url is None else None,
            )
        case "desk":
            return desk_settings(settings, paths)
        case _:
            raise ValueError(f"{name!r} is not a built-in server")


def desk_settings(settings: Settings, paths: Paths) -> DeskSettings:
    """The desk's settings; the demo's teams where it is the demo's desk."""
    desk = settings.desk
    teams = desk.teams
    if settings.demo.enabled and desk.url is None and not teams:
        from demo.desk import TEAMS

        teams = TEAMS
    return DeskSettings(
        url=desk.url or SecretStr(sqlite_url(paths.desk.resolve())),
        teams=teams,
        people_file=desk.people_file,
        outbox=paths.outbox.resolve(),
        smtp=desk.smtp,
        sender=desk.sender,
        external_recipients=desk.external_recipients,
    )


def server_config(
    name: str, settings: Settings, mint: TokenMint, *, http: HttpBinding | None = None
) -> ServerConfig[Any]:
    """The configuration of one built-in server process."""
    audience = audience_of(name)
    return ServerConfig[Any](
        audience=audience,
        key=mint.key_for(audience),
        settings=server_settings(name, settings, Paths(settings.data_dir)),
        http=http,
    )


def built_in(name: str, settings: Settings, mint: TokenMint) -> ServerSpec:
    """A built-in server as a child process over stdio."""
    return ServerSpec(
        name=name,
        command=sys.executable,
        args=("-m", f"mcp_servers.{name}"),
        env={CONFIG_ENV: SecretStr(dump_config(server_config(name, settings, mint))), **_child_environment()},
        cwd=str(Path.cwd()),
        ours=True,
        audience=audience_of(name),
        auto_approve=True,
        call_timeout_s=_call_timeout_s(name, settings),
    )


def remote_built_in(name: str, url: str, settings: Settings, mint: TokenMint) -> ServerSpec:
    """A built-in server that runs elsewhere and was started with the same master secret."""
    bearer = mint.key_for(audience_of(name)).get_secret_value()
    return ServerSpec(
        name=name,
        transport="http",
        url=url,
        headers={"Authorization": SecretStr(f"Bearer {bearer}")},
        ours=True,
        audience=audience_of(name),
        auto_approve=True,
        call_timeout_s=_call_timeout_s(name, settings),
    )


def _call_timeout_s(name: str, settings: Settings) -> float | None:
    # The desk says what became of a message when its time for sending is over: the bus waits for that.
    if name != "desk" or settings.desk.smtp is None:
        return None
    sending_s = desk_settings(settings, Paths(settings.data_dir)).sending_s
    return max(settings.toolbus.call_timeout_s, sending_s + _TO_SAY_S)


def _child_environment() -> dict[str, SecretStr]:
    # Bytecode caches make the second start fast even where the environment forbids them for the tests.
    return {"PYTHONUNBUFFERED": SecretStr("1")}


def tool_servers(settings: Settings, mint: TokenMint) -> list[ServerSpec]:
    """The servers of `mcp.json`; without the file, the built-in ones.

    An entry that runs `signalbox mcp-server NAME`, or that names a built-in server and gives its URL, is ours; any
    other is a stranger whose tools wait for approval.
    """
    if not settings.mcp_file.is_file():
        return [built_in(name, settings, mint) for name in BUILT_IN if _has_data(name, settings)]
    specs = load_mcp_json(settings.mcp_file, os.environ)
    return [_ours_or_not(spec, settings, mint) for spec in specs if _has_data(spec.name, settings)]


def added_sources(settings: Settings, mint: TokenMint) -> list[ServerSpec | OpenApiSpec]:
    """What an operator added to the built-in servers: strangers of `mcp.json`, and the services of `openapi`."""
    return [*(spec for spec in tool_servers(settings, mint) if spec.name not in BUILT_IN), *settings.openapi]


def _has_data(name: str, settings: Settings) -> bool:
    # Without a database of your own and without the demo's, there is nothing that the operations server could ask.
    return name != "operations" or settings.operations.url is not None or settings.demo.enabled


def _ours_or_not(spec: ServerSpec, settings: Settings, mint: TokenMint) -> ServerSpec:
    if spec.command == "signalbox" and spec.args[:1] == ("mcp-server",) and spec.args[1:] == (spec.name,):
        return built_in(spec.name, settings, mint)
    if spec.name in BUILT_IN and spec.transport == "http":
        return remote_built_in(spec.name, spec.url, settings, mint)
    if spec.name in BUILT_IN:
        command = f'"command": "signalbox", "args": ["mcp-server", "{spec.name}"]'
        raise UserFault(f"{settings.mcp_file}: the name {spec.name!r} is a built-in server's.", hint=f"Use {command}.")
    return spec
