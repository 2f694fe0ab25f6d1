"""`signalbox client-config`: what to paste into an IDE or a desktop client."""

import sys
from typing import Any, Literal

ClientName = Literal["vscode", "cursor", "claude"]


def client_config(client: ClientName, *, url: str, key: str) -> dict[str, Any]:
    """The configuration that connects `client` to the gateway's MCP endpoint.

    Claude Desktop's file only launches commands, so it gets the stdio relay.
    """
    endpoint = f"{url.rstrip('/')}/mcp"
    headers = {"Authorization": f"Bearer {key}"}
    match client:
        case "vscode":
            return {"servers": {"signalbox": {"type": "http", "url": endpoint, "headers": headers}}}
        case "cursor":
            return {"mcpServers": {"signalbox": {"url": endpoint, "headers": headers}}}
        case "claude":
            command = {"command": sys.executable, "args": ["-m", "signalbox", "mcp", "--url", url]}
            return {"mcpServers": {"signalbox": {**command, "env": {"SIGNALBOX_KEY": key}}}}


WHERE = {
    "vscode": ".vscode/mcp.json in your workspace",
    "cursor": ".cursor/mcp.json in your workspace, or ~/.cursor/mcp.json",
    "claude": "claude_desktop_config.json (Settings → Developer → Edit config)",
}
