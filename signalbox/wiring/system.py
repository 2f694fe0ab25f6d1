"""The running system: foundations first, and on them agents, gateway and faces."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from signalbox.settings import Settings
from signalbox.wiring.foundations import open_foundations

if TYPE_CHECKING:
    from signalbox.wiring.surface import System


@asynccontextmanager
async def open_system(settings: Settings) -> AsyncIterator["System"]:
    """Open everything in order, close it in reverse; tool servers are children of this context."""
    async with AsyncExitStack() as stack:
        # Agents and web framework take seconds to import: they load while the server processes start.
        base, surface = await asyncio.gather(
            open_foundations(settings, stack), asyncio.to_thread(import_module, "signalbox.wiring.surface")
        )
        yield await surface.assemble(settings, base, stack)
