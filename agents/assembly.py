"""Puts the agents together; what wiring calls."""

import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from agents.orchestrator import Crew
from agents.planner import Planner
from agents.prompting import Prompts
from agents.review.verdict import Judge
from agents.reviewer import Reviewer
from agents.settings import AgentsSettings
from agents.specialists.base import StepSpecialist
from agents.specialists.roster import Roster, load_specialists
from agents.steps import StepRunner
from agents.synthesiser import Synthesiser
from agents.turns import Turns
from conversations.contracts import ConversationStore
from inference.contracts import Models
from toolbus.contracts import ToolBus


def build_turns(
    settings: AgentsSettings,
    models: Models,
    bus: ToolBus,
    conversations: ConversationStore,
    *,
    remote: Iterable[StepSpecialist] = (),
    judge: Judge | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Turns:
    """The turn runner of this installation: the specialists of the settings, and those of remote agents."""
    canary = settings.review.canary.get_secret_value() if settings.review.canary else secrets.token_hex(8)
    prompts = Prompts(canary=canary)
    specialists = load_specialists(settings)
    protected = [*prompts.protected, *(specialist.prompt for specialist in specialists)]
    reviewer = Reviewer(settings.review, canary=canary, protected=protected, judge=judge)
    roster = Roster([*specialists, *remote], bus, lookup_timeout_s=settings.lookup_timeout_s)
    crew = Crew(
        planner=Planner(models, roster, prompts, settings),
        runner=StepRunner(models, bus, roster, prompts, reviewer, settings),
        synthesiser=Synthesiser(models, prompts, settings),
        reviewer=reviewer,
        replans=settings.replans,
    )
    return Turns(models, conversations, crew, settings, clock=clock)
