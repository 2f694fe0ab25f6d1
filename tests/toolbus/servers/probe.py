"""A small MCP server with every bad habit that the tests need. Writes what happens to the file in PROBE_LOG."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ToolAnnotations
from pydantic import BaseModel, SecretStr

from mcp_servers.hosting import CALL_META, TOKEN_META
from signalbox.identity import verify_token

READ = ToolAnnotations(read_only_hint=True)
server = MCPServer("probe")


def note(text: str) -> None:
    with Path(os.environ["PROBE_LOG"]).open("a") as log:
        log.write(f"{text}\n")


class Sum(BaseModel):
    total: int


class Rows(BaseModel):
    title: str
    rows: list[dict[str, int]]
    next_cursor: str | None = None


class Receipt(BaseModel):
    summary: str
    status: str


@server.tool(annotations=READ)
def add(a: int, b: int) -> Sum:
    """Add two whole numbers."""
    note(f"add {a} {b}")
    return Sum(total=a + b)


@server.tool(annotations=READ)
async def slow(seconds: float, context: Context) -> str:
    """Take some time, and say how far it is."""
    note("slow start")
    try:
        for step in range(10):
            await asyncio.sleep(seconds / 10)
            await context.report_progress(step + 1, 10, f"step {step + 1}")
    except BaseException as error:
        note(f"slow cancelled {type(error).__name__}")
        raise
    note("slow done")
    return "done"


@server.tool()
def write(text: str) -> str:
    """Write a line."""
    note(f"write {text}")
    return "written"


@server.tool()
async def slow_write(text: str) -> str:
    """Write a line after a while."""
    note(f"slow_write begins {text}")
    await asyncio.sleep(0.5)
    note(f"slow_write {text}")
    return "written"


@server.tool()
async def write_and_die(text: str) -> str:
    """Write a line, then die."""
    note(f"write_and_die {text}")
    os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(10)
    return "never"


@server.tool(annotations=READ)
async def die_once(marker: str) -> str:
    """Die the first time."""
    note("die_once")
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(10)
    return "survived"


@server.tool(annotations=READ)
async def die_always() -> str:
    """Die every time."""
    note("die_always")
    os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(10)
    return "never"


@server.tool(annotations=READ)
def boom() -> str:
    """Raise."""
    raise ValueError("the disk is full")


@server.tool(annotations=READ)
def rows(count: int) -> Rows:
    """Many rows."""
    return Rows(title="numbers", rows=[{"n": number} for number in range(count)])


@server.tool(annotations=READ)
def flood(characters: int) -> str:
    """A long text."""
    return "x" * characters


@server.tool(annotations=READ)
def leak() -> str:
    """A text that holds a credential."""
    return "the key is AKIAIOSFODNN7EXAMPLE, keep it"


@server.tool(annotations=READ)
def whoami(context: Context) -> dict[str, object]:
    """Who asks, as far as this server can tell."""
    meta = dict(context.request_context.meta or {})
    if TOKEN_META not in meta:
        return {"user": None, "call": meta.get(CALL_META)}
    key = SecretStr(os.environ["PROBE_KEY"])
    chain = verify_token(meta[TOKEN_META], audience="probe", key=key)
    return {"user": chain.principal.user, "actors": list(chain.actors), "call": meta.get(CALL_META)}


@server.tool(annotations=READ)
def pid() -> int:
    """This process."""
    print("someone asked for the pid", file=sys.stderr, flush=True)
    return os.getpid()


@server.tool()
def act(subject: str, context: Context) -> Receipt:
    """Do something that can be rehearsed."""
    meta = dict(context.request_context.meta or {}).get(CALL_META) or {}
    if meta.get("dry_run"):
        note(f"rehearse {subject}")
        return Receipt(summary=f"Would act on {subject}.", status="dry run")
    note(f"act {subject} {meta.get('idempotency_key')}")
    return Receipt(summary=f"Acted on {subject}.", status="done")


@server.tool(annotations=READ)
async def grow(context: Context) -> str:
    """Offer one more tool from now on."""

    def extra(word: str) -> str:
        """Say it."""
        return word

    server.add_tool(extra, name="extra", description="Say it.", annotations=READ)
    await context.notify_tools_changed()
    await context.session.send_tool_list_changed()  # the spelling of older protocol versions
    return "grown"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
