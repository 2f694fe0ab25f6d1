"""What a plan is, how a step ends, and the one door through which every surface runs a turn."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from runs.events import ApprovalView, RunEvent, Source, StepStatus
from signalbox.identity import Principal

MAX_STEPS = 8
NO_ANSWER = "NO_ANSWER"
"""The word with which a model says that the evidence does not hold an answer; it stands first in its reply."""


class Step(BaseModel):
    """One piece of work for one specialist."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(max_length=20)
    specialist: str = Field(max_length=60)
    task: str = Field(max_length=2000)
    needs: list[str] = Field(default_factory=list, max_length=MAX_STEPS)
    timeout_s: float = 30


class Plan(BaseModel):
    """What to do for one message. Without steps, `reply` answers it (small talk, a question back)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: list[Step] = Field(default_factory=list, max_length=MAX_STEPS)
    reply: str = ""


class StepOutcome(BaseModel):
    """How a step ended; no exception crosses a step."""

    model_config = ConfigDict(frozen=True)

    step: Step
    status: StepStatus
    findings: str = ""
    declined: bool = False
    reason: str = ""
    duration_ms: float = 0
    sources: tuple[Source, ...] = ()
    approvals: tuple[ApprovalView, ...] = ()


class ChatMessage(BaseModel):
    """A message as OpenAI clients send it, reduced to what we honour."""

    model_config = ConfigDict(frozen=True)

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    tool_call_id: str = ""


class TurnRequest(BaseModel):
    """One turn as any surface asks for it."""

    model_config = ConfigDict(frozen=True)

    principal: Principal
    text: str
    run_id: str
    surface: Literal["openai", "a2a", "mcp", "cli", "web"]
    model: str = "signalbox"
    conversation_id: str | None = None
    context: tuple[ChatMessage, ...] = Field(
        default=(), description="Earlier messages sent by a stateless client; ignored when a conversation is named."
    )
    max_tokens: int | None = Field(default=None, description="For the model `direct`: most tokens of the answer.")
    temperature: float | None = Field(default=None, description="For the model `direct`.")


class TurnRunner(Protocol):
    """Runs turns. Closing the iterator early cancels the run, down to the last process that works for it."""

    def run(self, request: TurnRequest) -> AsyncIterator[RunEvent]:
        """The events of one run, terminal event last. Errors become `RunFailed`; only cancellation raises."""
        ...


class Specialist(Protocol):
    """A specialist as the planner and the scheduler see it; `agents.specialists` has one file for each."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def examples(self) -> Sequence[str]: ...
