"""A connection to a server that can be cut as a network is: nothing comes through any more, not even an end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Cable:
    """Carries bytes both ways between `port` on this machine and a server, until it is cut."""

    def __init__(self) -> None:
        self.port = 0
        self._whole = asyncio.Event()
        self._whole.set()
        self._carrying: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """From now on both ends wait for each other; new connections come to nothing, too."""
        self._whole.clear()

    @asynccontextmanager
    async def to(self, host: str, port: int) -> AsyncIterator["Cable"]:
        """Open it; at the end every connection is closed."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection(host, port)
            for source, target in ((reader, far_writer), (far_reader, writer)):
                task = asyncio.create_task(self._carry(source, target))
                self._carrying.add(task)
                task.add_done_callback(self._carrying.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._carrying):
                task.cancel()
            if self._carrying:
                await asyncio.wait(self._carrying)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                await self._whole.wait()
                target.write(data)
                await target.drain()
        finally:
            target.close()
