"""A stranger's MCP server over HTTP that gives out session ids, and hangs where it is told to."""

import asyncio
import json
from typing import Any

from toolbus.settings import ServerSpec


class HangingServer:
    """Of the 2025 handshake; `hangs_at` names the requests that are never answered, `DELETE` among them."""

    def __init__(self, *hangs_at: str) -> None:
        self.hangs_at = set(hangs_at)
        self.seen: list[str] = []
        self.sessions = 0
        self.forgets = False  # the next call is answered like one of a session that ended

    async def __aenter__(self) -> "HangingServer":
        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.spec = ServerSpec(
            name="probe", transport="http", url=f"http://127.0.0.1:{port}/mcp", auto_approve=True, call_timeout_s=5
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().lower().split("\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
                body = await reader.readexactly(length)
                request = json.loads(body) if body else {"method": lines[0].split()[0].upper()}
                self.seen.append(request["method"])
                if request["method"] not in self.hangs_at:
                    writer.write(self._answer(request))
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    def _answer(self, request: dict[str, Any]) -> bytes:
        if "id" not in request:
            return _reply("405 Method Not Allowed" if request["method"] in ("GET", "DELETE") else "202 Accepted")
        match request["method"]:
            case "initialize":
                self.sessions += 1
                info = {"name": "hanging", "version": "1"}
                result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
            case "tools/list":
                result = {"tools": [{"name": "add", "inputSchema": {"type": "object"}}]}
            case "tools/call" if self.forgets:
                self.forgets = False
                return _reply("404 Not Found")
            case "tools/call":
                result = {"content": [{"type": "text", "text": "added"}]}
            case _:
                error = {"code": -32601, "message": "Method not found"}
                return _reply("200 OK", {"jsonrpc": "2.0", "id": request["id"], "error": error})
        headers = f"mcp-session-id: s{self.sessions}\r\n"
        return _reply("200 OK", {"jsonrpc": "2.0", "id": request["id"], "result": result}, headers)


def _reply(status: str, body: dict[str, Any] | None = None, headers: str = "") -> bytes:
    content = json.dumps(body).encode() if body is not None else b""
    kind = "content-type: application/json\r\n" if content else ""
    return f"HTTP/1.1 {status}\r\n{headers}{kind}content-length: {len(content)}\r\n\r\n".encode() + content
