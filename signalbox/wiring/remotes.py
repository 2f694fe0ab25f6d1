"""Remote A2A agents: each a source of one tool on the bus, and a specialist of the planner that calls it."""

import asyncio
from collections.abc import Iterable
from functools import partial

from agents.settings import SpecialistSettings
from agents.specialists.remote import RemoteSpecialist
from agents.specialists.roster import load_specialists
from signalbox.errors import UserFault
from signalbox.settings import Settings
from signalbox.wiring.sources import agent_sources
from toolbus.bus import KernelToolBus
from toolbus.catalogue import Catalogue
from toolbus.contracts import ToolSpec

_MARGIN_S = 1.0
"""A step outlasts its call, so that the call says itself what is known of a task that was too slow."""


async def connect_agents(settings: Settings, bus: KernelToolBus) -> None:
    """Put the agents of the settings on the bus; one that does not show its card is looked for behind the scenes."""
    await asyncio.gather(*(bus.connect(source) for source in agent_sources(settings)))


def remote_specialists(settings: Settings, catalogue: Catalogue) -> list[RemoteSpecialist]:
    """One specialist per agent; raises `UserFault` where another specialist has its name."""
    _check_names(settings.a2a.agents, (specialist.name for specialist in load_specialists(settings.agents)))
    return [
        RemoteSpecialist(
            name,
            SpecialistSettings(module="a2a_bridge.source", timeout_s=remote.timeout_s + _MARGIN_S),
            partial(_admitted, catalogue, f"{name}__ask"),
            description=remote.description,
            examples=remote.examples,
        )
        for name, remote in settings.a2a.agents.items()
    ]


def _check_names(agents: Iterable[str], taken: Iterable[str]) -> None:
    if both := sorted(set(agents) & set(taken)):
        raise UserFault(
            f"Both a specialist and a remote agent are called {both[0]!r}.", hint="Rename it in a2a.agents."
        )


def _admitted(catalogue: Catalogue, tool: str) -> ToolSpec | None:
    return catalogue.offered().get(tool)
