"""Puts the agents together; what wiring calls."""

import secrets
from collections.abc import Iterable, Mapping

from agents.crews import OneCrew
from agents.memory import SummaryWriter
from agents.orchestrator import Crew
from agents.planner import Planner
from agents.prompting import Prompts, packaged_prompts
from agents.review.verdict import Judge
from agents.reviewer import Reviewer
from agents.settings import AgentsSettings
from agents.specialists.base import StepSpecialist
from agents.specialists.roster import Roster, load_specialists
from agents.steps import StepRunner
from agents.stop_audit import StopAudit
from agents.support import Embeds
from agents.synthesiser import Synthesiser
from agents.turns import Turns
from conversations.contracts import ConversationStore
from inference.contracts import Models
from runs.events import BUILT_IN
from toolbus.contracts import ToolBus


def build_turns(
    settings: AgentsSettings,
    models: Models,
    bus: ToolBus,
    conversations: ConversationStore,
    *,
    remote: Iterable[StepSpecialist] = (),
    judge: Judge | None = None,
    stops: StopAudit | None = None,
) -> Turns:
    """A turn runner with one crew: the specialists of the settings, and those of remote agents."""
    crew = CrewBuilder(bus, remote=remote, judge=judge).build(settings, models)
    return Turns(conversations, OneCrew(crew), settings, stops=stops)


class CrewBuilder:
    """Builds crews that differ in models, settings and prompts, and share all else."""

    def __init__(
        self,
        bus: ToolBus,
        *,
        remote: Iterable[StepSpecialist] = (),
        judge: Judge | None = None,
        embedder: Embeds | None = None,
    ) -> None:
        self._embedder = embedder
        self._bus = bus
        self._remote = tuple(remote)
        self._judge = judge
        self._marker = secrets.token_hex(8)

    def build(
        self,
        settings: AgentsSettings,
        models: Models,
        *,
        prompts: Mapping[str, str] | None = None,
        release: str = BUILT_IN,
    ) -> Crew:
        """A crew; its prompts are those in force without a release, where none are given."""
        canary = settings.review.canary.get_secret_value() if settings.review.canary else self._marker
        specialists = load_specialists(settings)
        texts = Prompts(canary=canary, texts=effective_prompts(settings) if prompts is None else prompts)
        protected = [*texts.protected, *(specialist.prompt for specialist in specialists)]
        reviewer = Reviewer(
            settings.review, canary=canary, protected=protected, judge=self._judge, embedder=self._embedder
        )
        roster = Roster([*specialists, *self._remote], self._bus, lookup_timeout_s=settings.lookup_timeout_s)
        return Crew(
            planner=Planner(models, roster, texts, settings),
            runner=StepRunner(models, self._bus, roster, texts, reviewer, settings),
            synthesiser=Synthesiser(models, texts, settings),
            reviewer=reviewer,
            models=models,
            memory=SummaryWriter(models, texts, reviewer, settings),
            replans=settings.replans,
            release=release,
        )


def effective_prompts(settings: AgentsSettings) -> dict[str, str]:
    """The prompts in force without a release: those of this version, and those that specialists bring along."""
    own = {specialist.name: specialist.prompt for specialist in load_specialists(settings) if specialist.prompt}
    return {**packaged_prompts(), **own}
