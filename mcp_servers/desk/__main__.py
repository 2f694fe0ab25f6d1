"""`python -m mcp_servers.desk`: the desk server as a process of its own."""

import asyncio
import sys

from mcp_servers.desk.desk import Desk
from mcp_servers.desk.server import build_server
from mcp_servers.desk.settings import DeskSettings
from mcp_servers.hosting import Caller, ServerConfig, read_config, serve
from signalbox.errors import SignalboxError


def main() -> None:
    """Open the desk, then serve until the client goes away."""
    config: ServerConfig[DeskSettings] = read_config(DeskSettings)
    desk = Desk(config.settings)

    async def prepare() -> None:
        try:
            await desk.open()
        finally:
            await desk.close()  # connections belong to a loop; the server has its own

    try:
        asyncio.run(prepare())
    except SignalboxError as error:
        sys.exit(f"desk: {error}")
    serve(build_server(desk, Caller(config)), config)


if __name__ == "__main__":
    main()
