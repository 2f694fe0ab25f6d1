"""Serves the app until a signal comes, then lets runs finish for a few seconds and ends the rest cleanly."""

import asyncio
import socket

import structlog
import uvicorn
from fastapi import FastAPI

from gateway.settings import GatewaySettings
from gateway.turns import Turns

_log = structlog.get_logger(__name__)
_AFTER_STOP_S = 2  # for streams to write their last chunk


class GatewayServer(uvicorn.Server):
    """uvicorn with uvloop and httptools; a shutdown first refuses new runs, then stops what outlives the grace."""

    def __init__(self, app: FastAPI, settings: GatewaySettings, turns: Turns) -> None:
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # the peer's address decides what is open to loopback: nobody may choose it
            timeout_graceful_shutdown=round(settings.shutdown_grace_s + _AFTER_STOP_S + 1),
        )
        super().__init__(config)
        self._settings = settings
        self._turns = turns

    @property
    def port(self) -> int:
        """Where it listens, once started; the settings may say 0."""
        return self.servers[0].sockets[0].getsockname()[1]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then stop; every stream gets its end."""
        self._turns.drain()
        drain = asyncio.create_task(self._drain())
        try:
            await super().shutdown(sockets)
        finally:
            drain.cancel()
            await asyncio.wait([drain])

    async def _drain(self) -> None:
        await asyncio.sleep(self._settings.shutdown_grace_s)
        stopped = self._turns.stop_all(reason="the server is shutting down")
        _log.info("gateway.stopped_runs", runs=stopped)
