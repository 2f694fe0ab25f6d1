"""What a specialist is: words for the planner, tools, limits, and a fresh agent for every step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import Workbench

from agents.prompting import Prompts
from agents.scope import StepScope
from agents.settings import SpecialistSettings


@dataclass(frozen=True)
class Profile:
    """A specialist of our own in data: all that its file has to say."""

    name: str
    description: str
    examples: tuple[str, ...]
    tools: tuple[str, ...] = ()
    prompt: str = ""
    """Its instruction; `agents/prompts/<name>.md` when left out."""
    streams: bool = True
    """Whether its words may be released while it still works; False where only the receipt tells what happened."""


@dataclass(frozen=True)
class Equipment:
    """What a step gives to its agent."""

    client: ChatCompletionClient
    workbench: Workbench | None
    prompts: Prompts


class StepSpecialist(Protocol):
    """A specialist as the scheduler needs it (`agents.contracts.Specialist` is what others may know of it)."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def examples(self) -> Sequence[str]: ...

    @property
    def tools(self) -> Sequence[str]: ...

    @property
    def streams(self) -> bool: ...

    @property
    def limits(self) -> SpecialistSettings: ...

    def agent(self, equipment: Equipment) -> BaseChatAgent:
        """A new agent, for one step only: an agent that is used twice shows one user's messages to the next."""
        ...

    def task(self, scope: StepScope, prompts: Prompts) -> str:
        """What the agent is told."""
        ...


class ToolSpecialist:
    """A specialist that is a profile, a prompt of the same name, and tools of the bus."""

    def __init__(self, profile: Profile, limits: SpecialistSettings) -> None:
        self._profile = profile
        self._limits = limits

    @property
    def name(self) -> str:
        """The name by which plans call it."""
        return self._profile.name

    @property
    def description(self) -> str:
        """What it is for."""
        return self._profile.description

    @property
    def examples(self) -> Sequence[str]:
        """What one would send to it."""
        return self._profile.examples

    @property
    def tools(self) -> Sequence[str]:
        """The patterns of its tools' names."""
        return self._profile.tools if self._limits.tools is None else self._limits.tools

    @property
    def prompt(self) -> str:
        """Its own instruction, where it brings one."""
        return self._profile.prompt

    @property
    def streams(self) -> bool:
        """Whether its words may be released while it still works."""
        return self._profile.streams

    @property
    def limits(self) -> SpecialistSettings:
        """How far one of its steps may go."""
        return self._limits

    def agent(self, equipment: Equipment) -> BaseChatAgent:
        """A fresh AutoGen agent over the step's client and tools."""
        return AssistantAgent(
            self.name,
            equipment.client,
            workbench=equipment.workbench,
            system_message=equipment.prompts.rules,
            description=self.description,
            model_client_stream=True,
            reflect_on_tool_use=equipment.workbench is not None,
            max_tool_iterations=self._limits.max_tool_iterations,
        )

    def task(self, scope: StepScope, prompts: Prompts) -> str:
        """The step's sections and the specialist's instruction."""
        sections = scope.turn.sections(task=scope.step.task, findings=list(scope.findings))
        known = prompts.has(self.name) or not self.prompt
        instruction = prompts.instruction(self.name) if known else self.prompt
        return prompts.task(instruction, f"specialist:{self.name}", sections)
