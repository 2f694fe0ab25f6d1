"""Runs the steps of a plan: each starts the moment that what it needs is done. There are no levels and no barriers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from agents.contracts import Step, StepOutcome

_LEAVE_S = 2.0
RunStep = Callable[[Step, Sequence[StepOutcome]], Awaitable[StepOutcome]]


async def run_steps(
    steps: Sequence[Step],
    run: RunStep,
    skip: Callable[[StepOutcome], Awaitable[None]],
    earlier: Sequence[StepOutcome] = (),
) -> list[StepOutcome]:
    """Outcomes in the order of `steps`. A step whose need brought nothing is skipped; `skip` is told.

    Needs may also name steps of `earlier`, which ran before. Leaving early (cancellation) leaves no task behind.
    """
    done = {outcome.step.id: outcome for outcome in earlier}
    tasks: dict[str, asyncio.Task[StepOutcome]] = {}

    async def one(step: Step) -> StepOutcome:
        waiting = [tasks[need] for need in step.needs if need in tasks]
        if waiting:
            await asyncio.wait(waiting)
        needed = [tasks[need].result() if need in tasks else done[need] for need in step.needs]
        useless = next((outcome for outcome in needed if not outcome.found), None)
        if useless is None:
            return await run(step, needed)
        outcome = StepOutcome(step=step, status="skipped", reason=_why(useless))
        await skip(outcome)
        return outcome

    try:
        # A task starts only when this function waits, so every one finds all others in `tasks`.
        for step in steps:
            tasks[step.id] = asyncio.create_task(one(step), name=f"step {step.id}")
        return list(await asyncio.gather(*tasks.values()))
    finally:
        live = [task for task in tasks.values() if not task.done()]
        for task in live:
            task.cancel()
        if live:
            await asyncio.wait(live, timeout=_LEAVE_S)


def _why(outcome: StepOutcome) -> str:
    what = "found nothing" if outcome.status == "ok" else "did not succeed"
    return f"the {outcome.step.specialist} step that it needs {what}"
