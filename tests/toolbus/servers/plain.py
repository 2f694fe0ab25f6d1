"""A stranger's MCP server: no SDK, the 2025 handshake only, tools as the file PLAIN_TOOLS has them now.

Every call is noted in PLAIN_LOG with all of its parameters. The tool `reload` announces that the list changed.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    if method == "initialize":
        info = {"name": "plain", "version": "1"}
        return {"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": True}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": json.loads(Path(os.environ["PLAIN_TOOLS"]).read_text())}
    if method == "tools/call":
        with Path(os.environ["PLAIN_LOG"]).open("a") as log:
            log.write(json.dumps(params) + "\n")
        if params["name"] == "reload":
            send({"method": "notifications/tools/list_changed"})
        return {"content": [{"type": "text", "text": f"did {params['name']}"}]}
    raise LookupError(method)


for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    try:
        send({"id": request["id"], "result": answer(request["method"], request.get("params", {}))})
    except LookupError:
        send({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})
