"""`signalbox mcp-server`: one built-in tool server by itself, for a machine of its own or a debugging session."""

import os
import sys

from mcp_servers.hosting import CONFIG_ENV, HttpBinding, dump_config
from signalbox.errors import UserFault
from signalbox.identity import TokenMint
from signalbox.settings import load_settings
from signalbox.wiring.paths import Paths
from signalbox.wiring.secrets import master_secret
from signalbox.wiring.servers import BUILT_IN, server_config


def run_server(name: str, *, port: int | None, host: str) -> None:
    """Become that server; over HTTP it takes only callers with its own key."""
    if name not in BUILT_IN:
        raise UserFault(f"There is no built-in server {name!r}.", hint=f"Known: {', '.join(BUILT_IN)}.")
    settings = load_settings()
    mint = TokenMint(master_secret(Paths(settings.data_dir).secret))
    binding = HttpBinding(host=host, port=port) if port is not None else None
    os.environ[CONFIG_ENV] = dump_config(server_config(name, settings, mint, http=binding))
    os.execv(sys.executable, [sys.executable, "-m", f"mcp_servers.{name}"])  # noqa: S606 # becomes the server
