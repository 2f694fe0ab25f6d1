"""An agent elsewhere as a specialist: its work is one call on the tool bus, of the tool that asks it."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import CancellationToken
from autogen_core.tools import TextResultContent, Workbench

from agents.prompting import Prompts
from agents.scope import StepScope
from agents.settings import SpecialistSettings
from agents.specialists.base import Equipment
from signalbox.errors import Bug
from toolbus.contracts import ToolSpec

_REF = re.compile(r"\[#[0-9a-f]{8}\]")


class RemoteSpecialist:
    """Wraps an agent that runs somewhere else. It gets the task and the findings it needs, never the conversation.

    `tool` is the admitted tool of the bus that asks it, or None where it is not offered: until then nothing of its card
    is told to anyone. `description` and `examples` are the operator's, instead of the card's.
    """

    def __init__(
        self,
        name: str,
        limits: SpecialistSettings,
        tool: Callable[[], ToolSpec | None],
        *,
        description: str = "",
        examples: Sequence[str] = (),
    ) -> None:
        self._name = name
        self._limits = limits
        self._tool = tool
        self._description = description
        self._examples = tuple(examples)

    @property
    def name(self) -> str:
        """The name by which plans call it."""
        return self._name

    @property
    def description(self) -> str:
        """What it is for."""
        tool = self._tool()
        told = self._description or (tool.description if tool else "")
        return told or f"Asks {self._name}, another organisation's agent, which is not offered now."

    @property
    def examples(self) -> Sequence[str]:
        """What one would send to it."""
        return self._examples or tuple(map(str, self._task_schema().get("examples", ())))

    @property
    def tools(self) -> Sequence[str]:
        """The one that asks it; it has its own over there."""
        return (f"{self._name}__ask",)

    @property
    def streams(self) -> bool:
        """What another organisation's agent says is a finding, released when it is complete."""
        return False

    @property
    def limits(self) -> SpecialistSettings:
        """How far one of its steps may go."""
        return self._limits

    def agent(self, equipment: Equipment) -> BaseChatAgent:
        """A fresh agent that asks it once; no model of ours has a say."""
        if equipment.workbench is None:
            raise Bug(f"The specialist {self.name!r} was given no tools.")
        identifier = "".join(char if char.isalnum() else "_" for char in self._name)
        return _Asking(identifier, self.tools[0], equipment.workbench)

    def task(self, scope: StepScope, prompts: Prompts) -> str:
        """The task, and what needed steps found, as far as the tool takes it."""
        del prompts
        findings = [f"{finding['specialist']}: {finding['findings']}" for finding in scope.findings]
        return "\n\n".join([scope.step.task, *findings])[: self._task_schema().get("maxLength")]

    def _task_schema(self) -> Mapping[str, Any]:
        tool = self._tool()
        return tool.input_schema.get("properties", {}).get("task", {}) if tool else {}


class _Asking(BaseChatAgent):
    """Passes its task to the tool; the tool's result is its answer, with the reference by which it is cited."""

    def __init__(self, name: str, tool: str, workbench: Workbench) -> None:
        super().__init__(name, "An agent of another organisation.")
        self._tool = tool
        self._workbench = workbench

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """Text only."""
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """The answer; empty where there is none, for why stands in the outcome of the call."""
        arguments = {"task": messages[-1].to_model_text()}
        result = await self._workbench.call_tool(self._tool, arguments, cancellation_token)
        if cancellation_token.is_cancelled():
            raise asyncio.CancelledError  # a workbench returns a result even then; the step has none
        words, *notes = [content.content for content in result.result if isinstance(content, TextResultContent)] or [""]
        refs = _REF.findall(" ".join(notes))
        text = "" if result.is_error else " ".join([words.rstrip(), *refs])
        return Response(chat_message=TextMessage(content=text, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing is kept between messages."""
