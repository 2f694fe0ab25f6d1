"""Remote A2A agents as specialists of the planner."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from a2a_bridge.remote import RemoteChatAgent, RemoteConnection
from a2a_bridge.settings import A2ASettings, RemoteAgent

from agents.settings import SpecialistSettings
from agents.specialists.remote import RemoteSpecialist
from signalbox.errors import SignalboxError

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def remote_specialists(settings: A2ASettings) -> AsyncIterator[list[RemoteSpecialist]]:
    """One specialist per agent; one that does not show its card is left out unless the settings describe it."""
    connections = {name: RemoteConnection(name, remote) for name, remote in settings.agents.items()}
    try:
        found = [await _specialist(name, settings.agents[name], connections[name]) for name in connections]
        yield [specialist for specialist in found if specialist is not None]
    finally:
        for connection in connections.values():
            await connection.close()


async def _specialist(name: str, remote: RemoteAgent, connection: RemoteConnection) -> RemoteSpecialist | None:
    description, examples = remote.description, remote.examples
    if not description:
        try:
            card = await connection.card()
        except SignalboxError as error:
            _log.warning("a2a.agent_left_out", agent=name, reason=str(error))
            return None
        description = card.description
        examples = examples or tuple(example for skill in card.skills for example in skill.examples)
    limits = SpecialistSettings(module="a2a_bridge.remote", timeout_s=remote.timeout_s)
    return RemoteSpecialist(
        name,
        description,
        examples,
        lambda agent: RemoteChatAgent(agent, connection, remote.timeout_s),
        limits,
        health=connection.health,
    )
