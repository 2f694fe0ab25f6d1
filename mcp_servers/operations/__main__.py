"""`python -m mcp_servers.operations`: the operations server as a process of its own."""

import asyncio
import importlib
import sys
import threading

from mcp_servers.hosting import Caller, ServerConfig, read_config, serve
from mcp_servers.operations.opening import open_service
from mcp_servers.operations.server import build_server
from mcp_servers.operations.settings import OperationsSettings
from signalbox.errors import SignalboxError

_WARM_UP_AFTER_S = 2.0  # the SQL parser: not at the start, and not at the first question


def main() -> None:
    """Open the database, then serve until the client goes away."""
    config: ServerConfig[OperationsSettings] = read_config(OperationsSettings)
    try:
        service = asyncio.run(open_service(config.settings))
    except SignalboxError as error:
        sys.exit(f"operations: {error}")
    later = threading.Timer(_WARM_UP_AFTER_S, importlib.import_module, ("mcp_servers.operations.guard",))
    later.daemon = True
    later.start()
    serve(build_server(service, Caller(config)), config)


if __name__ == "__main__":
    main()
