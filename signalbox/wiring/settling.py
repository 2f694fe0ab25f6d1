"""What is done once, when everything is loaded and before the first turns come."""

import gc
from typing import Protocol


class Loading(Protocol):
    """Something that goes on loading after it was opened."""

    async def ready(self) -> None: ...


async def settle(bus: Loading) -> None:
    """Take what is loaded by now out of the garbage collector's sight.

    Libraries are some 300,000 objects that live as long as the process. Without this every full collection walks all
    of them, under load several times a second, and no turn goes on meanwhile.
    """
    await bus.ready()
    gc.collect()
    gc.freeze()
