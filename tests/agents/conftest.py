from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import structlog.testing

from agents.assembly import build_turns
from agents.settings import AgentsSettings
from agents.turns import Turns
from tests.agents.memory import MemoryBus, MemoryConversations
from tests.agents.scripted import Script, ScriptedModels


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What was logged; also keeps structlog from painting tracebacks, which takes a second each."""
    with structlog.testing.capture_logs() as entries:
        yield entries


class House:
    """A turn runner with everything around it in plain sight."""

    def __init__(self, script: Script, bus: MemoryBus, settings: AgentsSettings, **more: Any) -> None:
        self.models = ScriptedModels(script)
        self.bus = bus
        self.conversations = MemoryConversations()
        self.turns: Turns = build_turns(settings, self.models, bus, self.conversations, **more)


@pytest.fixture
async def house() -> AsyncIterator[Callable[..., House]]:
    built: list[House] = []

    def build(script: Script, bus: MemoryBus | None = None, *, extra: Any = None, **settings: Any) -> House:
        built.append(House(script, bus or MemoryBus(), AgentsSettings(**settings), **(extra or {})))
        return built[-1]

    yield build
    for one in built:
        await one.turns.close()
