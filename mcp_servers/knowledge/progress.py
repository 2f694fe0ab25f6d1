"""From the pipeline's plain progress calls to MCP progress notifications, never faster than a client can show them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server.mcpserver import Context

from knowledge.ingest import IngestProgress

_INTERVAL_S = 0.2


class ProgressRelay:
    """Remembers the latest state and tells it at intervals."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._latest: IngestProgress | None = None
        self._told: IngestProgress | None = None

    def __call__(self, progress: IngestProgress) -> None:
        self._latest = progress

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ProgressRelay"]:
        """Tell while the body runs, and once more at its end."""
        task = asyncio.create_task(self._repeat())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._tell()

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            await self._tell()

    async def _tell(self) -> None:
        state = self._latest
        if state is None or state is self._told:
            return
        self._told = state
        message = f"{state.done}/{state.total} documents, {state.chunks} passages, {state.quarantined} left out"
        await self._context.report_progress(state.done, state.total, message)
