"""The gateway's server as the command line runs it."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.serve import GatewayServer


class Server(GatewayServer):
    """Says when it listens; a signal only asks it to stop, so that what was opened is closed undisturbed."""

    on_started: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again when it has stopped, which would cut our own closing short.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, lambda: None)

    def _stop(self) -> None:
        self.force_exit = self.should_exit  # the second signal does not wait for streams
        self.should_exit = True
