"""What a plan is, how a step ends, and the one door through which every surface runs a turn."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from runs.events import ApprovalView, RunEvent, StepStatus
from signalbox.identity import Principal
from toolbus.budget import Resource

MAX_STEPS = 8
MAX_ASSUMPTIONS = 3
NO_ANSWER = "NO_ANSWER"
"""The word with which a model says that the evidence does not hold an answer; it stands first in its reply."""
NEED = "NEED_MORE:"
"""The line on which a specialist says what somebody else must still find out; it stands last in its reply."""


class Step(BaseModel):
    """One piece of work for one specialist."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(max_length=20)
    specialist: str = Field(max_length=60)
    task: str = Field(max_length=2000)
    needs: list[str] = Field(default_factory=list, max_length=MAX_STEPS)
    timeout_s: float = Field(default=0, description="Seconds; 0 for as long as the specialist may take.")


class Plan(BaseModel):
    """What to do for one message: steps, or a `reply` (small talk), or one `question` back to the user."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(default="", max_length=400)
    assumptions: list[str] = Field(default_factory=list, max_length=MAX_ASSUMPTIONS)
    steps: list[Step] = Field(default_factory=list, max_length=MAX_STEPS)
    reply: str = ""


class StepOutcome(BaseModel):
    """How a step ended; no exception crosses a step."""

    model_config = ConfigDict(frozen=True)

    step: Step
    status: StepStatus
    findings: str = ""
    declined: bool = False
    need: str = Field(default="", description="What somebody else must still find out, in the specialist's words.")
    cut: tuple[Resource, ...] = Field(default=(), description="What the step wanted more of than it may use.")
    reason: str = ""
    duration_ms: float = 0
    approvals: tuple[ApprovalView, ...] = ()

    @property
    def found(self) -> bool:
        """Whether it brought something that an answer can be made of."""
        return self.status == "ok" and not self.declined


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
    priority: int = Field(default=0, ge=0, description="Of its model calls; above 0 nobody waits for it.")
    kept: bool = Field(
        default=True, description="Written into a conversation; otherwise only when an action of it waits for somebody."
    )


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
