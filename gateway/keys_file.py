"""The file in which `make up` keeps the demo users' keys: `{"user": "key"}`, readable by its owner alone."""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.keys import ApiKeys
from signalbox.errors import NotAuthenticated
from signalbox.identity import Principal


def write_keys_file(path: Path, keys: Mapping[str, str]) -> None:
    """Replace the file in one step; nobody else can read it at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(dict(keys), file, indent=2)
            file.write("\n")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_keys_file(path: Path) -> dict[str, str]:
    """What the file holds; nothing when it is missing or unreadable as such."""
    with contextlib.suppress(OSError, ValueError):
        held = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(held, dict):
            return {str(user): key for user, key in held.items() if isinstance(key, str)}
    return {}


async def ensure_keys(keys: ApiKeys, path: Path, people: Sequence[Principal]) -> dict[str, str]:
    """A working key for each of `people`: those in the file where they still fit, new ones otherwise."""
    held = await asyncio.to_thread(read_keys_file, path)
    current: dict[str, str] = {}
    for person in people:
        current[person.user] = await _ensure(keys, held.get(person.user), person)
    await asyncio.to_thread(_keep, path, held, current)
    return current


def _keep(path: Path, held: Mapping[str, str], current: Mapping[str, str]) -> None:
    if current != held:
        write_keys_file(path, current)
    elif path.exists() and path.stat().st_mode & 0o077:
        path.chmod(0o600)


async def _ensure(keys: ApiKeys, held: str | None, person: Principal) -> str:
    if held is not None:
        with contextlib.suppress(NotAuthenticated):
            if await keys.check(held) == person:
                return held
            await keys.revoke(held.split("-")[2], tenant=person.tenant)  # right key, outdated groups or scopes
    return await keys.create(person, name="made at start")
