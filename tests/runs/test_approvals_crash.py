"""A process that is killed while it carries out an approved call."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

import runs.approvals
from runs.approvals import Approval, Approvals, Executed
from runs.settings import RunsSettings
from signalbox.identity import Principal

ADA = Principal(user="ada")
CHILD = """
import asyncio, sys
from types import SimpleNamespace
from runs.approvals import Approvals, Executed
from runs.settings import RunsSettings
from signalbox.database import open_engine
from signalbox.identity import Chain, Principal

ADA = Principal(user="ada")

async def execute(approval):
    print(f"CALL {approval.id}", flush=True)
    await asyncio.sleep(60)
    return Executed(ok=True, text="never said")

async def main():
    desk = Approvals(open_engine(sys.argv[1]), RunsSettings(), execute=execute)
    call = SimpleNamespace(chain=Chain(principal=ADA), run_id="run_1", step_id="s1", conversation_id="conv_1")
    view = await desk.propose(call, SimpleNamespace(name="desk__create", pin="p1"), {"title": "x"}, "Create")
    await desk.decide(ADA, view.id, approve=True)

asyncio.run(main())
"""


async def test_kill_9_in_the_middle_of_a_call_leads_to_the_same_call_once_more(engine: AsyncEngine):
    environment = {**os.environ, "PYTHONPATH": str(Path(runs.approvals.__file__).parents[1])}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, engine.url.render_as_string(False), stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert child.stdout is not None
    approval_id = (await child.stdout.readuntil(b"CALL ") and await child.stdout.readline()).decode().strip()
    child.send_signal(signal.SIGKILL)
    await child.wait()

    made: list[tuple[str, dict]] = []

    async def execute(approval: Approval) -> Executed:
        made.append((approval.id, approval.arguments))
        return Executed(ok=True, text="Created T-1.")

    restarted = Approvals(engine, RunsSettings(), execute=execute)
    assert (await restarted.get(ADA, approval_id)).state == "executing"
    assert await restarted.resume() == 1
    await restarted.close()
    assert made == [(approval_id, {"title": "x"})]
    found = await restarted.get(ADA, approval_id)
    assert (found.state, found.outcome, found.decided_by) == ("done", "Created T-1.", "ada")
