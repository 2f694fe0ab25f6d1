"""A knowledge server that has one document, and fails in every way by the name that it is asked for."""

import asyncio
import os

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from mcp_servers.knowledge.models import Evidence, ReadResult

server = MCPServer("knowledge")
LONG = 1_500


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
async def read(document: str = "", passage: str = "", around: int = 1, length: int = 4_000) -> ReadResult:
    """Read a document."""
    match document or passage:
        case "leave.md":
            return found([], 0)
        case "silent.md":
            await asyncio.sleep(60)
        case "fatal.md":
            os._exit(1)
        case "broken.md":
            raise RuntimeError("the record cannot be read")
        case name if name.startswith("c"):
            ordinals = range(int(name[1:]) - around, int(name[1:]) + around + 1)
            return found(list(ordinals), ordinals[0] * LONG)
        case _:
            pass
    raise ToolError(f"Document {document!r} does not exist.")


def found(ordinals: list[int], start: int) -> ReadResult:
    """A window with these passages, each as long as passages get, in letters of two bytes."""
    text = "".join(chr(0x430 + ordinal % 32) * LONG for ordinal in ordinals) or "20 weeks"
    return ReadResult(
        document_id="d1",
        document="leave.md",
        title="Leave",
        uri="",
        modified=None,
        text=text,
        start=start,
        end=start + len(text),
        total_characters=1_000_000,
        next_start=None,
        evidence=[passage_of(ordinal, text[(at * LONG) : (at + 1) * LONG]) for at, ordinal in enumerate(ordinals)],
    )


def passage_of(ordinal: int, text: str) -> Evidence:
    """One of them."""
    return Evidence(
        ref=f"c{ordinal}",
        chunk_id=f"c{ordinal}",
        document_id="d1",
        document="leave.md",
        title="Leave",
        heading="A chapter › a section › a paragraph of it",
        start=ordinal * LONG,
        end=(ordinal + 1) * LONG,
        uri="/v1/documents/d1",
        text=text,
    )


if __name__ == "__main__":
    server.run("stdio")
