"""One turn as an AutoGen agent: plan, run the steps as soon as they can, write one answer, release it reviewed.

The plan runs on asyncio inside this one agent (docs/decisions): a group chat would serialise every token, wait for the
slowest step of a level and lose everything with the first failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import CancellationToken

from agents.contracts import MAX_STEPS, Plan, Step, StepOutcome
from agents.memory import SummaryWriter
from agents.notes import NOTHING, notes
from agents.planner import Planner
from agents.reviewer import Reviewer
from agents.scheduler import run_steps
from agents.scope import Turn
from agents.steps import StepRunner, finished
from agents.synthesiser import Synthesiser
from inference.contracts import Models, Purpose
from runs.events import BUILT_IN, PlanMade, PlannedStep
from signalbox.errors import SignalboxError

_SETTLED = ("awaiting_approval", "cancelled")
"""How a step may end without a finding and no other step could do better."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Crew:
    """Who works on a turn, by which release; shared by turns, for none of them keeps anything of one."""

    planner: Planner
    runner: StepRunner
    synthesiser: Synthesiser
    reviewer: Reviewer
    models: Models
    memory: SummaryWriter
    replans: int = 1
    release: str = BUILT_IN


class Orchestrator(BaseChatAgent):
    """Runs one turn. Events and released words leave through the turn; the response is the released answer."""

    def __init__(self, turn: Turn, crew: Crew) -> None:
        super().__init__("orchestrator", "Plans, runs specialists in parallel, merges what they find, reviews.")
        self._turn = turn
        self._crew = crew
        self.answered_by: Purpose = "planner"
        self.finish_reason = "stop"
        self.declined = False

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The answer."""
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Run the turn; the messages are those of the turn itself."""
        del messages  # the question, its history and who asks are in the turn
        if cancellation_token is not self._turn.token:
            cancellation_token.add_callback(self._turn.token.cancel)
        await self._run()
        return Response(chat_message=TextMessage(content=self._turn.release.text, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """An orchestrator is used once."""

    async def _run(self) -> None:
        turn, release = self._turn, self._turn.release
        plan = await self._crew.planner.plan(turn)
        await self._announce(plan)
        if not plan.steps:
            await release.feed(" ".join(filter(None, [plan.reply.strip(), plan.question])))
            await release.finish()
            self.declined = release.declined
            return
        only = plan.steps[0] if len(plan.steps) == 1 else None
        outcomes = await self._run_steps(plan.steps, streaming=only)
        latest: Sequence[StepOutcome] = outcomes
        for _ in range(self._crew.replans):
            more = await self._more_steps(latest, outcomes)
            if not more:
                break
            latest = await self._run_steps(more, earlier=outcomes)
            outcomes = [*outcomes, *latest]
        await self._answer(outcomes, latest, streamed=only is not None)

    async def _announce(self, plan: Plan) -> None:
        turn, clean = self._turn, self._crew.reviewer.clean
        steps = tuple(
            PlannedStep(id=step.id, specialist=step.specialist, task=clean(step.task), needs=tuple(step.needs))
            for step in plan.steps
        )
        assumptions = tuple(filter(None, map(clean, plan.assumptions)))
        turn.assumptions = tuple(dict.fromkeys([*turn.assumptions, *assumptions]))
        turn.question = clean(plan.question)
        note = clean(plan.reply) if steps else ""
        await turn.emit(PlanMade(steps=steps, note=note, assumptions=assumptions, question=turn.question))

    async def _run_steps(
        self, steps: Sequence[Step], *, streaming: Step | None = None, earlier: Sequence[StepOutcome] = ()
    ) -> list[StepOutcome]:
        turn = self._turn

        async def run(step: Step, needed: Sequence[StepOutcome]) -> StepOutcome:
            release = turn.release if step is streaming else None
            return self._noted(await self._crew.runner.run(turn, step, needed, release=release))

        async def skip(outcome: StepOutcome) -> None:
            await turn.emit(finished(self._noted(outcome)))

        return await run_steps(steps, run, skip, earlier)

    def _noted(self, outcome: StepOutcome) -> StepOutcome:
        self._turn.note(outcome)
        return outcome

    async def _more_steps(self, latest: Sequence[StepOutcome], outcomes: Sequence[StepOutcome]) -> Sequence[Step]:
        """New steps where the latest outcomes changed what is needed; each step of work is planned once only."""
        turn = self._turn
        room = MAX_STEPS - len(outcomes)
        if room <= 0 or not changes_the_need(latest) or turn.work.spent() is not None:
            return ()
        try:
            plan = await self._crew.planner.plan(turn, outcomes)
        except SignalboxError as error:
            _log.warning("replan.failed", run_id=turn.request.run_id, error=error.code)
            return ()
        tried = {(outcome.step.specialist, outcome.step.task) for outcome in outcomes}
        steps = renamed([step for step in plan.steps if (step.specialist, step.task) not in tried], outcomes)[:room]
        if steps:
            await self._announce(Plan(steps=list(steps), assumptions=plan.assumptions))
        return steps

    async def _answer(self, outcomes: Sequence[StepOutcome], latest: Sequence[StepOutcome], *, streamed: bool) -> None:
        release = self._turn.release
        found = [outcome for outcome in outcomes if outcome.found]
        waiting = [outcome for outcome in outcomes if outcome.status == "awaiting_approval"]
        self.answered_by = "specialist"
        rest = outcomes
        if streamed and outcomes[0].status == "ok" and release.fed:
            await release.finish()
            rest = outcomes[1:]  # the words of the first are out: what came after them is added
        else:
            release.discard()
        if len([outcome for outcome in rest if outcome.found]) > 1:
            await self._synthesise(rest)
        else:
            refusals = () if any(outcome.found for outcome in latest) and latest is not outcomes else _told(outcomes)
            await self._say([*(outcome for outcome in rest if outcome.found), *refusals])
        needs = [self._crew.reviewer.clean(outcome.need) for outcome in latest if outcome.need]
        said = notes(outcomes, self._turn.assumptions, open_needs=needs, dropped=self._dropped())
        if not release.text.strip() and not waiting:
            said = f"{NOTHING} {said}".strip()
        await release.add(said)
        self.declined = not waiting and (release.declined or not found)

    def _dropped(self) -> int:
        return self._turn.release.unsupported if self._crew.reviewer.claims.drops else 0

    async def _say(self, outcomes: Sequence[StepOutcome]) -> None:
        for outcome in outcomes:
            await self._turn.release.add(outcome.findings)

    async def _synthesise(self, outcomes: Sequence[StepOutcome]) -> None:
        turn, release = self._turn, self._turn.release
        why = ""
        if (spent := turn.budget.spent()) is not None:
            why = f"The budget of {spent} was used up before the findings could be brought together"
        else:
            try:
                if release.text.strip():
                    await release.feed("\n\n")
                self.finish_reason = await self._crew.synthesiser.write(turn, outcomes)
                self.answered_by = "synthesiser"
            except (TimeoutError, SignalboxError) as error:
                _log.warning("synthesis.failed", run_id=turn.request.run_id, error=type(error).__name__)
                release.discard()
                why = "The findings could not be brought together"
        if why:
            await release.add(f"{why}; here they are one by one.")
            await self._say([outcome for outcome in outcomes if outcome.found])


def changes_the_need(outcomes: Sequence[StepOutcome]) -> bool:
    """Whether something that the answer needs was not found, or what was found needs something more."""
    answered = {outcome.step.task for outcome in outcomes if outcome.found}
    missing = [outcome for outcome in outcomes if not outcome.found and outcome.status not in _SETTLED]
    return any(outcome.need for outcome in outcomes) or any(one.step.task not in answered for one in missing)


def _told(outcomes: Sequence[StepOutcome]) -> list[StepOutcome]:
    """Steps that found nothing and whose word for it is worth hearing: not a second opinion on another's task.

    Of several that had the same task, the one that says most.
    """
    answered = {outcome.step.task for outcome in outcomes if outcome.found}
    refusals: dict[str, StepOutcome] = {}
    for outcome in outcomes:
        task = outcome.step.task
        if outcome.status != "ok" or not outcome.declined or task in answered:
            continue
        if task not in refusals or len(outcome.findings) > len(refusals[task].findings):
            refusals[task] = outcome
    return list(refusals.values())


def renamed(steps: Sequence[Step], earlier: Sequence[StepOutcome]) -> list[Step]:
    """Steps under ids that no earlier step has; needs of dropped steps go with them."""
    taken = {outcome.step.id for outcome in earlier}
    names = {
        step.id: step.id if step.id not in taken else f"r{len(taken) + index}_{step.id}"[:20]
        for index, step in enumerate(steps)
    }
    kept = set(names.values()) | {outcome.step.id for outcome in earlier if outcome.status == "ok"}
    result: list[Step] = []
    for step in steps:
        needs = [names.get(need, need) for need in step.needs]
        result.append(step.model_copy(update={"id": names[step.id], "needs": [need for need in needs if need in kept]}))
    return result
