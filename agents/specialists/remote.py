"""An agent elsewhere as a specialist: the A2A bridge hands over how to make one, the scheduler sees no difference."""

from collections.abc import Callable, Sequence

from autogen_agentchat.agents import BaseChatAgent

from agents.prompting import Prompts
from agents.scope import StepScope
from agents.settings import SpecialistSettings
from agents.specialists.base import Equipment

MakeAgent = Callable[[str], BaseChatAgent]
"""Makes a fresh agent of the given name (a Python identifier) for one step."""


class RemoteSpecialist:
    """Wraps an agent that runs somewhere else. It gets the task and the findings it needs, never the conversation."""

    def __init__(
        self,
        name: str,
        description: str,
        examples: Sequence[str],
        make: MakeAgent,
        limits: SpecialistSettings,
        health: Callable[[], str] = lambda: "up",
    ) -> None:
        self._health = health
        self._name = name
        self._description = description
        self._examples = tuple(examples)
        self._make = make
        self._limits = limits

    @property
    def name(self) -> str:
        """The name by which plans call it."""
        return self._name

    @property
    def description(self) -> str:
        """What its card says that it is for."""
        return self._description

    @property
    def examples(self) -> Sequence[str]:
        """What its card gives as examples."""
        return self._examples

    @property
    def tools(self) -> Sequence[str]:
        """None of ours: it has its own."""
        return ()

    @property
    def streams(self) -> bool:
        """What another organisation's agent says is a finding, released when it is complete."""
        return False

    @property
    def limits(self) -> SpecialistSettings:
        """How far one of its steps may go."""
        return self._limits

    def health(self) -> str:
        """How it was when it was last asked."""
        return self._health()

    def agent(self, equipment: Equipment) -> BaseChatAgent:
        """A fresh connection to the agent."""
        del equipment  # it brings its own model and tools
        return self._make("".join(char if char.isalnum() else "_" for char in self._name))

    def task(self, scope: StepScope, prompts: Prompts) -> str:
        """The task, and what needed steps found."""
        del prompts
        findings = [f"{finding['specialist']}: {finding['findings']}" for finding in scope.findings]
        return "\n\n".join([scope.step.task, *findings])
