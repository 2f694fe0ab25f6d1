"""Every turn of every surface passes here: it is admitted, recorded in the run log, and stopped with its reader."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from agents.contracts import TurnRequest, TurnRunner
from gateway.calls import LiveCalls
from gateway.limits import Admission
from gateway.metrics import Metrics
from runs.events import RunEvent, RunFailed
from runs.log import RunLog
from signalbox.errors import SignalboxError


class Turns:
    """A `TurnRunner` around another one; wiring hands it to every surface."""

    def __init__(
        self,
        runner: TurnRunner,
        log: RunLog,
        admission: Admission,
        metrics: Metrics,
        *,
        calls: LiveCalls | None = None,
    ) -> None:
        self._runner = runner
        self._metrics = metrics
        self.log = log
        self.admission = admission
        self.calls = calls or LiveCalls(admission, metrics)

    def drain(self) -> None:
        """Refuse what is new from now on."""
        self.admission.draining = True
        self.calls.admission.draining = True

    def stop_all(self, *, reason: str) -> int:
        """Stop every run and every call; how many that were."""
        return self.log.stop_all(reason=reason) + self.calls.stop_all(reason=reason)

    def start(self, request: TurnRequest) -> None:
        """Admit the run and begin it; read it from the log. Raises `BudgetSpent` or `UpstreamDown` when refused."""
        leave = self.admission.admit(request.principal, background=request.priority > 0)
        self._metrics.turn_began()

        def ended(last: RunEvent) -> None:
            leave()
            self._metrics.turn_ended(request.model, last)

        self.log.start(request.principal, request.run_id, self._runner.run(request), on_end=ended)

    def run(self, request: TurnRequest) -> AsyncIterator[RunEvent]:
        """As `TurnRunner.run`: closing the iterator early stops the run; a refused one is a `RunFailed`."""
        return self._run(request)

    async def _run(self, request: TurnRequest) -> AsyncGenerator[RunEvent, None]:
        try:
            self.start(request)
        except SignalboxError as error:
            yield RunFailed(run_id=request.run_id, seq=1, code=error.code, message=str(error), status=error.status)
            return
        try:
            async with contextlib.aclosing(self.log.batches(request.run_id)) as batches:
                async for batch in batches:
                    for event in batch:
                        yield event
        finally:
            self.log.stop(request.run_id, reason="its reader went away")
