from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import toolbus.kernel  # noqa: F401 - heavy to import: not on the clock of the first test
from tests.toolbus.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One open bus for all tests of a module that do no harm to its server."""
    world = World(tmp_path_factory.mktemp("shared"))
    async with world.open():
        yield world
