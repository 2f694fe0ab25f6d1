"""The specialists of this installation, and what the planner is told about them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

from agents.scope import within
from agents.settings import AgentsSettings, SpecialistSettings
from agents.specialists.base import Profile, StepSpecialist, ToolSpecialist
from signalbox.errors import UserFault
from signalbox.identity import Chain
from toolbus.contracts import ToolBus, ToolSpec


class Roster:
    """Knows the specialists by name."""

    def __init__(self, specialists: Iterable[StepSpecialist], bus: ToolBus, *, lookup_timeout_s: float) -> None:
        self._specialists = {specialist.name: specialist for specialist in specialists}
        self._bus = bus
        self._lookup_timeout_s = lookup_timeout_s

    def __iter__(self) -> Iterable[StepSpecialist]:
        return iter(self._specialists.values())

    def get(self, name: str) -> StepSpecialist | None:
        """The specialist of that name, or None."""
        return self._specialists.get(name)

    async def look(self, chain: Chain) -> tuple[Sequence[ToolSpec], list[dict[str, Any]]]:
        """The tools that `chain` may call, and of each specialist name, description, examples, tools and health."""
        async with within(self._lookup_timeout_s, "The tool bus"):
            tools, health = await asyncio.gather(self._bus.tools(chain), self._bus.health())
        names = [tool.name for tool in tools]
        return tools, [self._card(specialist, names, health) for specialist in self._specialists.values()]

    def _card(self, specialist: StepSpecialist, tools: Sequence[str], health: Mapping[str, str]) -> dict[str, Any]:
        mine = [name for name in tools if any(fnmatchcase(name, pattern) for pattern in specialist.tools)]
        return {
            "name": specialist.name,
            "description": specialist.description,
            "examples": list(specialist.examples),
            "tools": mine,
            "health": _health(specialist, mine, health),
        }


def load_specialists(settings: AgentsSettings) -> list[ToolSpecialist]:
    """The specialists that the settings name; raises `UserFault` when one cannot be found."""
    return [_load(name, entry) for name, entry in settings.specialists.items() if entry.enabled]


def _load(name: str, entry: SpecialistSettings) -> ToolSpecialist:
    try:
        profile = import_module(entry.module).SPECIALIST
    except (ImportError, AttributeError) as error:
        raise UserFault(
            f"The specialist {name!r} cannot be loaded from {entry.module!r}: {error}.",
            hint="Correct agents.specialists in signalbox.toml.",
        ) from error
    if not isinstance(profile, Profile):
        raise UserFault(f"{entry.module}.SPECIALIST is no Profile.", hint="See docs/agents.md.")
    return ToolSpecialist(profile, entry)


def _health(specialist: StepSpecialist, tools: Sequence[str], health: Mapping[str, str]) -> str:
    if not specialist.tools or tools:
        return "up"
    servers = {pattern.split("__", 1)[0] for pattern in specialist.tools}
    broken = [f"{server}: {health[server]}" for server in sorted(servers) if health.get(server, "up") != "up"]
    return "; ".join(broken) or "no tools"
