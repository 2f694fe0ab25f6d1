"""Decides what a message needs: one structured call, one repair, then the fallback."""

from collections.abc import Sequence
from typing import Any

import structlog
from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, LLMMessage, UserMessage
from autogen_core.tools import ToolSchema
from pydantic import ValidationError

from agents.contracts import Plan, Step, StepOutcome
from agents.plans import clamped, plan_schema, problems
from agents.prompting import Prompts
from agents.scope import Turn, bounded, child_of
from agents.settings import AgentsSettings
from agents.specialists.roster import Roster
from inference.contracts import Models
from toolbus.contracts import ToolSpec

_log = structlog.get_logger(__name__)


class Planner:
    """Makes plans that can run."""

    def __init__(self, models: Models, roster: Roster, prompts: Prompts, settings: AgentsSettings) -> None:
        self._models = models
        self._roster = roster
        self._prompts = prompts
        self._settings = settings

    async def plan(self, turn: Turn, outcomes: Sequence[StepOutcome] = ()) -> Plan:
        """A plan for the turn's question; with `outcomes`, what more to do after them (nothing, if in doubt)."""
        tools, cards = await self._roster.look(turn.chain)
        if turn.shared_tools is None:
            turn.shared_tools = self._shared(tools)
        sections = turn.sections(specialists=cards, outcomes=[described(outcome) for outcome in outcomes])
        messages = self._prompts.messages("planner", sections)
        try:
            plan = await bounded(
                lambda token: self._sound_plan(
                    turn, messages, [card["name"] for card in cards], token, again=bool(outcomes)
                ),
                child_of(turn.token),
                timeout_s=self._settings.planner_timeout_s,
                grace_s=self._settings.stop_grace_s,
            )
        except TimeoutError:
            _log.warning("plan.timeout", run_id=turn.request.run_id, timeout_s=self._settings.planner_timeout_s)
            plan = None
        if plan is None:
            plan = Plan() if outcomes else self._fallback(turn)
        return clamped(plan, {card["name"]: self._limit_s(card["name"]) for card in cards})

    async def _sound_plan(
        self, turn: Turn, messages: list[LLMMessage], known: Sequence[str], token: CancellationToken, *, again: bool
    ) -> Plan | None:
        client = turn.equipped(self._models.client("planner", turn.calls))
        schema = plan_schema(tuple(known))
        for attempt in (1, 2):
            result = await client.create(messages, json_output=schema, cancellation_token=token)
            raw = result.content if isinstance(result.content, str) else ""
            plan, faults = _read(raw)
            if not faults and (plan.steps or not again):
                faults = problems(plan, known, asked_before=turn.asked_before)
            if not faults:
                return plan
            if turn.budget.spent() is not None:
                break
            _log.warning("plan.unsound", run_id=turn.request.run_id, attempt=attempt, faults=len(faults))
            listed = "\n".join(f"- {fault}" for fault in faults)
            messages = [
                *messages,
                AssistantMessage(content=raw or "{}", source="planner"),
                UserMessage(content=f"This plan cannot run:\n{listed}\nReturn a corrected one.", source="user"),
            ]
        return None

    def _shared(self, tools: Sequence[ToolSpec]) -> Sequence[ToolSchema]:
        """The tool list that all roles of the turn get; none where that helps nobody."""
        if self._models.engine("planner") == "embedded" or len(tools) > self._settings.shared_tools_max:
            return ()
        return [
            ToolSchema(name=tool.name, description=tool.description, parameters=tool.input_schema, strict=False)  # pyright: ignore[reportArgumentType]
            for tool in sorted(tools, key=lambda tool: tool.name)
        ]

    def _fallback(self, turn: Turn) -> Plan:
        name = self._settings.fallback
        return Plan(
            steps=[Step(id="s1", specialist=name, task=turn.request.text[:2000] or "…", timeout_s=self._limit_s(name))]
        )

    def _limit_s(self, name: str) -> float:
        specialist = self._roster.get(name)
        return specialist.limits.timeout_s if specialist else 30


def described(outcome: StepOutcome) -> dict[str, Any]:
    """An outcome as the models see it: data, never an instruction."""
    said = {"need": outcome.need} if outcome.need else {}
    return {
        "step": outcome.step.id,
        "specialist": outcome.step.specialist,
        "task": outcome.step.task,
        "status": outcome.status,
        "findings": outcome.findings if outcome.status == "ok" else "",
        "reason": outcome.reason,
        **said,
    }


def _read(raw: str) -> tuple[Plan, list[str]]:
    start, end = raw.find("{"), raw.rfind("}")
    try:
        plan = Plan.model_validate_json(raw[start : end + 1] if 0 <= start < end else raw)
    except ValidationError as error:
        return Plan(), [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5]]
    return plan, []
