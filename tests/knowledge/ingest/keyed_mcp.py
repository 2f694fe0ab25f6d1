"""An MCP server that shows its resource to those who hold its key: by variable over stdio, by header over HTTP."""

import os
from typing import Any

from mcp.server import MCPServer
from starlette.responses import PlainTextResponse

KEY = "let me in"
server = MCPServer("wiki")


@server.resource("wiki://pages/leave", mime_type="text/markdown")
def leave() -> str:
    return "# Leave\n\nAsk your manager two weeks ahead."


def keyed_app() -> Any:
    """The server over HTTP."""
    inner = server.streamable_http_app()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(b"x-wiki-key") != KEY.encode():
            await PlainTextResponse("no key", 401)(scope, receive, send)
        else:
            await inner(scope, receive, send)

    return app


if __name__ == "__main__":
    if os.environ.get("WIKI_KEY") != KEY:
        raise SystemExit("no key")
    server.run("stdio")
