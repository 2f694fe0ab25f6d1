"""Every turn of every surface passes here: it is admitted, recorded in the run log, and stopped with its reader."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from agents.contracts import TurnRequest, TurnRunner
from gateway.limits import Admission
from runs.events import RunEvent
from runs.log import RunLog


class Turns:
    """A `TurnRunner` around another one; wiring hands it to every surface."""

    def __init__(self, runner: TurnRunner, log: RunLog, admission: Admission) -> None:
        self._runner = runner
        self.log = log
        self.admission = admission

    def start(self, request: TurnRequest) -> None:
        """Admit the run and begin it; read it from the log. Raises `BudgetSpent` or `UpstreamDown` when refused."""
        leave = self.admission.admit(request.principal)
        self.log.start(request.principal, request.run_id, self._runner.run(request), on_end=leave)

    def run(self, request: TurnRequest) -> AsyncIterator[RunEvent]:
        """As `TurnRunner.run`: closing the iterator early stops the run."""
        return self._run(request)

    async def _run(self, request: TurnRequest) -> AsyncGenerator[RunEvent, None]:
        self.start(request)
        try:
            async with contextlib.aclosing(self.log.batches(request.run_id)) as batches:
                async for batch in batches:
                    for event in batch:
                        yield event
        finally:
            self.log.stop(request.run_id, reason="its reader went away")
