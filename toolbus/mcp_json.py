"""`mcp.json`, the file in which IDE clients list MCP servers: `{"mcpServers": {name: {command, args, env} | {url}}}`.

`${NAME}` and `${NAME:-default}` in any text stand for the environment, so that no secret needs to be in the file.
"""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from signalbox.errors import NotFound, UserFault
from toolbus.settings import ServerSpec

_log = structlog.get_logger(__name__)
_VARIABLE = re.compile(r"\$\{(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_MAX_BYTES = 1024 * 1024
_HTTP_TYPES = ("http", "streamable-http", "streamableHttp")


class _Entry(BaseModel):
    """One server as the file has it; the last four are other clients' and not honoured here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["stdio", "http", "streamable-http", "streamableHttp"] | None = None
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    url: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    timeout_s: float | None = Field(default=None, gt=0)
    disabled: bool = False
    auto_approve: Any = Field(default=None, alias="autoApprove")
    always_allow: Any = Field(default=None, alias="alwaysAllow")
    timeout: Any = None
    description: Any = None


def load_mcp_json(
    path: Path, environment: Mapping[str, str], *, reserved: Collection[str] = ()
) -> tuple[ServerSpec, ...]:
    """The servers of the file; raises `UserFault` that names the line or the field at fault.

    None of them is trusted: their tools are offered once an operator approved them. `reserved` names are ours.
    """
    document = _parse(path)
    servers = document.get("mcpServers", document.get("servers"))
    if not isinstance(servers, dict):
        raise UserFault(
            f"{path.name} has no object 'mcpServers'.", hint='Begin with {"mcpServers": {}}.', param=path.name
        )
    specs: dict[str, ServerSpec] = {}
    for given, raw in servers.items():
        where = f"mcpServers.{given}"
        entry = _entry(path, where, raw, environment)
        if entry.disabled:
            continue
        name = re.sub(r"[^a-z0-9]+", "-", given.lower()).strip("-")
        if name in reserved or name in specs:
            why = (
                "is the name of a server of ours"
                if name in reserved
                else "is there twice (case and signs do not count)"
            )
            raise UserFault(f"{path.name}: {name!r} {why}.", hint="Choose another name.", param=where)
        specs[name] = _spec(path, where, name, entry)
    return tuple(specs.values())


def _parse(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        text = path.read_text(encoding="utf-8-sig") if size <= _MAX_BYTES else ""
    except FileNotFoundError:
        raise NotFound(f"The file {str(path)!r} does not exist.", param=path.name) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserFault(f"The file {str(path)!r} cannot be read: {error}.", param=path.name) from error
    if size > _MAX_BYTES:
        raise UserFault(f"{path.name} is {size} bytes long; at most {_MAX_BYTES} are read.", param=path.name)
    try:
        document = json.loads(text, object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise UserFault(
            f"{path.name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.", param=path.name
        ) from error
    except _DuplicateKeyError as error:
        raise UserFault(f"{path.name} has the key {error.args[0]!r} twice in one object.", param=path.name) from error
    except RecursionError as error:
        raise UserFault(f"{path.name} is nested too deeply.", param=path.name) from error
    if not isinstance(document, dict):
        raise UserFault(f"{path.name} must be one JSON object.", param=path.name)
    return document


class _DuplicateKeyError(ValueError):
    pass


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _DuplicateKeyError(key)
        result[key] = value
    return result


def _entry(path: Path, where: str, raw: Any, environment: Mapping[str, str]) -> _Entry:
    if isinstance(raw, dict) and raw.get("type") == "sse":
        raise UserFault(
            f"{path.name}: {where}.type: the 'sse' transport was removed from the protocol.",
            hint="Use the server's streamable HTTP address with type 'http'.",
            param=f"{where}.type",
        )
    try:
        entry = _Entry.model_validate(_expand(path, where, raw, environment))
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join((where, *map(str, fault["loc"])))
        raise UserFault(f"{path.name}: {field}: {fault['msg']}.", param=field) from error
    if entry.auto_approve or entry.always_allow:
        _log.warning("mcp_json.auto_approval_ignored", server=where, hint="signalbox tools approve")
    return entry


def _expand(path: Path, where: str, value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _expand(path, f"{where}.{key}", item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(path, f"{where}.{index}", item, environment) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replacement(match: re.Match[str]) -> str:
        found = environment.get(match["name"], match["default"])
        if found is None:
            raise UserFault(
                f"{path.name}: {where}: the environment variable {match['name']!r} is not set.",
                hint=f"Set it, or write ${{{match['name']}:-default}}.",
                param=where,
            )
        return found

    return _VARIABLE.sub(replacement, value)


def _spec(path: Path, where: str, name: str, entry: _Entry) -> ServerSpec:
    http = entry.type in _HTTP_TYPES or (entry.type is None and bool(entry.url))
    cwd = str((path.parent / entry.cwd).resolve()) if entry.cwd else None
    fields: dict[str, Any] = (
        {"transport": "http", "url": entry.url, "headers": entry.headers, "command": entry.command}
        if http
        else {"command": entry.command, "args": entry.args, "env": entry.env, "cwd": cwd, "url": entry.url}
    )
    try:
        return ServerSpec(name=name, call_timeout_s=entry.timeout_s, **fields)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserFault(f"{path.name}: {where}: {message}.", param=where) from error
