"""Servers that an operator added and that no specialist uses yet: each gets one of its own."""

from collections.abc import Iterable, Sequence
from functools import partial

from agents.specialists.roster import load_specialists
from agents.specialists.server import ServerSpecialist
from signalbox.settings import Settings
from toolbus.catalogue import Catalogue
from toolbus.contracts import ToolSpec


def server_specialists(settings: Settings, servers: Iterable[str], catalogue: Catalogue) -> list[ServerSpecialist]:
    """One for each server that no tool pattern of the configured specialists names."""
    known = load_specialists(settings.agents)
    served = {pattern.partition("__")[0] for specialist in known for pattern in specialist.tools}
    taken = {specialist.name for specialist in known} | settings.a2a.agents.keys()
    return [
        ServerSpecialist(_name(server, taken), server, partial(_admitted, catalogue, server))
        for server in servers
        if server not in served
    ]


def _name(server: str, taken: set[str]) -> str:
    name = server.replace("-", "_")
    return f"{name}_tools" if name in taken else name


def _admitted(catalogue: Catalogue, server: str) -> Sequence[ToolSpec]:
    return [spec for spec in catalogue.offered().values() if spec.server == server]
