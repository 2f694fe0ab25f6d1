"""Which tools are admitted: every tool's name, text, schemas and annotations are pinned by hash at its review.

A new or changed tool is not offered until an operator approves it (`signalbox tools review | approve`). Tool text
comes from strangers: control and invisible characters are stripped and its length is bounded before anyone sees it.
"""

import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import structlog
from jsonschema.exceptions import SchemaError
from jsonschema.validators import validator_for
from pydantic import BaseModel, ConfigDict, ValidationError

from signalbox.errors import NotFound, UserFault
from toolbus.contracts import ToolSpec
from toolbus.settings import ServerSpec, ToolBusSettings
from toolbus.sources import DeclaredTool

_log = structlog.get_logger(__name__)
_MAX_NAME = 64
_FORMAT_VERSION = 1

ReviewState = Literal["approved", "new", "changed", "unusable"]


class PinnedTool(BaseModel):
    """What the lock file keeps about one admitted tool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pin: str
    approved_at: str
    approved_by: Literal["release", "operator"]
    description: str = ""


class _LockFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = _FORMAT_VERSION
    tools: dict[str, PinnedTool] = {}


@dataclass(frozen=True)
class ReviewItem:
    """One tool as an operator reviews it."""

    spec: ToolSpec
    state: ReviewState
    note: str = ""


class Catalogue:
    """The tools that the connected servers declare, and which of them are admitted."""

    def __init__(self, path: Path, settings: ToolBusSettings | None = None) -> None:
        self._path = path
        self._settings = settings or ToolBusSettings()
        self._lock, self._read_at = _read_lock(path)
        self._trouble = ""
        self._declared: dict[str, dict[str, ReviewItem]] = {}
        self._auto: set[str] = set()

    def declare(self, server: ServerSpec | str, tools: Sequence[DeclaredTool], *, auto_approve: bool = False) -> None:
        """Take note of everything that a server offers now; what it no longer offers is gone."""
        name = server if isinstance(server, str) else server.name
        items = self._inspect(name, tools)
        self._declared[name] = items
        if auto_approve:
            self._auto.add(name)
            unpinned = [bus_name for bus_name, item in items.items() if item.state in ("new", "changed")]
            self._admit(unpinned, "release")
            return
        for item in items.values():
            if item.state != "approved":
                _log.warning("tool.not_admitted", tool=item.spec.name, state=item.state, note=item.note)

    def offered(self) -> dict[str, ToolSpec]:
        """The admitted tools of all servers, by name on the bus."""
        return {
            name: item.spec
            for items in self._declared.values()
            for name, item in items.items()
            if item.state == "approved"
        }

    def pins(self) -> dict[str, str]:
        """The pin of every admitted tool, whether or not its server is up."""
        return {name: pinned.pin for name, pinned in self._lock.tools.items()}

    def reviewed(self, name: str) -> bool:
        """Whether an operator approved this very tool (not merely the release)."""
        pinned = self._lock.tools.get(name)
        return pinned is not None and pinned.approved_by == "operator"

    def review(self) -> list[ReviewItem]:
        """Every declared tool with its state, those that wait for a decision first."""
        items = [item for items in self._declared.values() for item in items.values()]
        return sorted(items, key=lambda item: (item.state == "approved", item.spec.name))

    def approve(self, names: Iterable[str]) -> list[ToolSpec]:
        """Admit these tools as they are now; `server__*` means every usable tool of that server."""
        wanted = [name for pattern in names for name in self._expand(pattern)]
        return self._admit(wanted, "operator")

    def revoke(self, names: Sequence[str]) -> None:
        """Withdraw an approval; the tool is not offered from now on."""
        for name in names:
            if name not in self._lock.tools:
                raise NotFound(f"The tool {name!r} is not approved.")
        with self._updating():
            for name in names:
                self._lock.tools.pop(name, None)
        self._refresh()

    def reload(self) -> bool:
        """Read the lock file again if another process changed it (the command line); says whether it did.

        Raises `UserFault` where it cannot be read; what was read last goes on counting, and `status` says so.
        """
        try:
            if changed := _stamp(self._path) != self._read_at:
                self._lock, self._read_at = _read_lock(self._path)
                self._refresh()
        except UserFault as error:
            self._trouble = str(error)
            raise
        self._trouble = ""
        return changed

    def status(self) -> str:
        """`up`, or why approvals and revocations are not noticed."""
        return self._trouble or "up"

    def _refresh(self) -> None:
        for items in self._declared.values():
            for name, item in items.items():
                if item.state != "unusable":
                    items[name] = ReviewItem(item.spec, self._state(name, item.spec.pin), item.note)

    def _expand(self, pattern: str) -> list[str]:
        server, _, tool = pattern.partition("__")
        items = self._declared.get(server, {})
        if tool == "*":
            return [name for name, item in items.items() if item.state != "unusable"]
        item = items.get(pattern)
        if item is None:
            raise NotFound(f"No connected server declares {pattern!r}.", hint="`signalbox tools review` lists them.")
        if item.state == "unusable":
            raise UserFault(f"The tool {pattern!r} cannot be admitted: {item.note}.")
        return [pattern]

    def _admit(self, names: Sequence[str], by: Literal["release", "operator"]) -> list[ToolSpec]:
        if not names:
            return []
        with self._updating():
            return [self._pin(name, by) for name in names]

    def _pin(self, name: str, by: Literal["release", "operator"]) -> ToolSpec:
        server = name.partition("__")[0]
        item = self._declared[server][name]
        if item.state == "changed":
            _log.info("tool.pin_changed", tool=name, approved_by=by)
        self._lock.tools[name] = PinnedTool(
            pin=item.spec.pin,
            approved_at=datetime.now(UTC).isoformat(timespec="seconds"),
            approved_by=by,
            description=item.spec.description,
        )
        self._declared[server][name] = ReviewItem(item.spec, "approved")
        return item.spec

    @contextmanager
    def _updating(self) -> Iterator[None]:
        # Another process may approve at the same time: read, change and write under one lock.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".mutex").open("a") as mutex:
            _keep_owner(mutex.fileno(), self._path.parent)
            fcntl.flock(mutex, fcntl.LOCK_EX)
            self._lock, _ = _read_lock(self._path)
            yield
            self._store()
            self._read_at = _stamp(self._path)

    def _inspect(self, server: str, tools: Sequence[DeclaredTool]) -> dict[str, ReviewItem]:
        items: dict[str, ReviewItem] = {}
        limit = self._settings.max_tools_per_server
        if len(tools) > limit:
            _log.warning("tool.too_many", server=server, declared=len(tools), limit=limit)
        for tool in tools[:limit]:
            spec = self._spec(server, tool)
            if spec.name in items:
                items[spec.name] = ReviewItem(spec, "unusable", "two tools of this server have this name")
                continue
            fault = self._fault(tool)
            items[spec.name] = ReviewItem(spec, "unusable" if fault else self._state(spec.name, spec.pin), fault)
        return items

    def _state(self, name: str, pin: str) -> ReviewState:
        pinned = self._lock.tools.get(name)
        if pinned is None:
            return "new"
        return "approved" if pinned.pin == pin else "changed"

    def _spec(self, server: str, tool: DeclaredTool) -> ToolSpec:
        return ToolSpec(
            name=bus_name(server, tool.name),
            server=server,
            tool=tool.name,
            description=clean_text(tool.description, self._settings.max_description_chars),
            input_schema={"type": "object", "properties": {}, **tool.input_schema},
            output_schema=tool.output_schema,
            read_only=tool.read_only,
            destructive=tool.destructive,
            idempotent=tool.idempotent,
            pin=pin_of(tool),
        )

    def _fault(self, tool: DeclaredTool) -> str:
        schema = tool.input_schema
        if schema.get("type", "object") != "object":
            return "its arguments are not an object"
        if len(json.dumps(schema)) > self._settings.max_schema_bytes:
            return f"its schema is larger than {self._settings.max_schema_bytes} bytes"
        try:
            validator_for(schema).check_schema(schema)
        except SchemaError as error:
            return f"its schema is not valid JSON Schema ({error.message[:200]})"
        return ""

    def _store(self) -> None:
        self._lock.tools = dict(sorted(self._lock.tools.items()))
        with tempfile.NamedTemporaryFile("w", dir=self._path.parent, delete=False, encoding="utf-8") as draft:
            if self._path.exists():
                os.fchmod(draft.fileno(), stat.S_IMODE(self._path.stat().st_mode))
            _keep_owner(draft.fileno(), self._path if self._path.exists() else self._path.parent)
            draft.write(self._lock.model_dump_json(indent=2) + "\n")
            draft.flush()
            os.fsync(draft.fileno())
        Path(draft.name).replace(self._path)


def pin_of(tool: DeclaredTool) -> str:
    """The sha256 over everything that a model, a policy or a person is told about a tool."""
    told: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "input": tool.input_schema,
        "output": tool.output_schema,
        "annotations": [tool.read_only, tool.destructive, tool.idempotent],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def bus_name(server: str, tool: str) -> str:
    """`server__tool`, in the letters and the length that every model API takes."""
    name = f"{server}__{re.sub(r'[^A-Za-z0-9_-]', '_', tool)}"
    if name == f"{server}__{tool}" and len(name) <= _MAX_NAME:
        return name
    suffix = hashlib.sha256(tool.encode()).hexdigest()[:8]
    return f"{name[: _MAX_NAME - 9]}_{suffix}"


def clean_text(text: str, max_chars: int) -> str:
    """Text of a stranger without control, format and other invisible characters, bounded."""
    visible = "".join(
        character for character in text if character in "\n\t" or unicodedata.category(character) not in _INVISIBLE
    )
    return visible if len(visible) <= max_chars else visible[: max_chars - 1] + "…"


_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})


def _keep_owner(file: int, like: Path) -> None:
    """What root writes (`sudo signalbox tools approve`) stays readable for the account that Signalbox runs under."""
    owner = like.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(file, owner.st_uid, owner.st_gid)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    return status.st_mtime_ns, status.st_ino


def _read_lock(path: Path) -> tuple[_LockFile, tuple[int, int] | None]:
    stamp = _stamp(path)
    if stamp is None:
        return _LockFile(), None
    try:
        return _LockFile.model_validate_json(path.read_bytes()), stamp
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValidationError as error:
        fault = error.errors()[0]
        raise UserFault(
            f"The tool catalogue {path.name!r} is damaged at {'.'.join(map(str, fault['loc'])) or 'its start'}.",
            hint="Restore it from a backup, or remove it and review the tools again.",
        ) from error


def _unreadable(path: Path, error: OSError) -> UserFault:
    return UserFault(
        f"The tool catalogue {path.name!r} cannot be read ({error.strerror}).",
        hint="Give it back to the account that Signalbox runs under.",
    )
