"""The typed events of one run, and what a finished run amounts to.

Every run emits one stream: `RunStarted` first, exactly one of `RunFinished`, `RunFailed`, `RunCancelled` last,
with sequence numbers that rise by one. Nothing here holds text that the reviewer has not released.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

StepStatus = Literal["ok", "failed", "timeout", "skipped", "denied", "cancelled", "awaiting_approval"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Source(_Frozen):
    """A passage or a result that an answer could rest on; `cited` when it does."""

    ref: str = Field(description="Short stable handle by which models cite it: [#ref].")
    number: int | None = Field(default=None, description="The number under which the answer shows it: [1].")
    document: str = Field(description="Path relative to the ingested folder, or the tool's name for a result.")
    title: str = ""
    uri: str = ""
    quote: str = ""
    cited: bool = False
    chunk_id: str = ""
    heading: str = ""
    page: int | None = None
    start: int | None = None
    end: int | None = None
    modified: str | None = None
    score: float | None = None


class StepReport(_Frozen):
    """How one step of the plan went."""

    id: str
    specialist: str
    status: StepStatus
    duration_ms: float
    task: str = ""
    reason: str = ""


class TokenUsage(_Frozen):
    """Tokens of all model calls of a run, counted by the engine that made them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    model_calls: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        if not (self.model_calls or self.total_tokens or self.cached_tokens):  # the first of a run
            return other
        return TokenUsage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            model_calls=self.model_calls + other.model_calls,
        )


class PurposeUsage(_Frozen):
    """What the calls for one purpose used and cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    model_calls: int = 0
    cost: float = 0.0

    def plus(self, usage: TokenUsage, cost: float) -> "PurposeUsage":
        """With one more call."""
        return PurposeUsage(
            prompt_tokens=self.prompt_tokens + usage.prompt_tokens,
            completion_tokens=self.completion_tokens + usage.completion_tokens,
            cached_tokens=self.cached_tokens + usage.cached_tokens,
            model_calls=self.model_calls + usage.model_calls,
            cost=self.cost + cost,
        )


class ApprovalView(_Frozen):
    """A pending approval as a person sees it."""

    id: str
    tool: str
    preview: str = Field(description="What will happen, in words, with the exact arguments.")
    arguments: dict[str, Any]
    reason: str = ""
    expires_at: str = ""


BUILT_IN = "built-in"
"""The release of a system without releases: this version's prompts and policy, the settings' parameters."""


class RunResult(_Frozen):
    """A finished run: the released answer and everything that it rests on."""

    run_id: str
    conversation_id: str
    text: str
    engine: str
    declined: bool = False
    degraded: bool = False
    steps: tuple[StepReport, ...] = ()
    sources: tuple[Source, ...] = ()
    approvals: tuple[ApprovalView, ...] = ()
    usage: TokenUsage = TokenUsage()
    cost: float = Field(default=0.0, description="Of all model calls, in the currency of the prices in the settings.")
    purposes: dict[str, PurposeUsage] = Field(default={}, description="What was used and paid for what.")
    assumptions: tuple[str, ...] = Field(default=(), description="What was taken for granted instead of asked.")
    unsupported: int = Field(default=0, description="Cited claims that their sources did not support.")
    question: str = Field(default="", description="Set where the answer is a question back to the user.")
    finish_reason: Literal["stop", "length", "content_filter", "tool_calls"] = "stop"
    cancelled: bool = Field(default=False, description="Stopped before it was complete; `text` is what was released.")
    release: str = Field(default="", description="The release of prompts, parameters and policy that answered.")


class _Event(_Frozen):
    run_id: str = ""
    seq: int = 0
    at_ms: float = Field(default=0, description="Milliseconds since the run started.")


class RunStarted(_Event):
    """The run exists; the conversation id is settled."""

    type: Literal["run.started"] = "run.started"
    conversation_id: str
    model: str


class PlannedStep(_Frozen):
    """One step as the plan has it."""

    id: str
    specialist: str
    task: str
    needs: tuple[str, ...] = ()


class PlanMade(_Event):
    """The planner decided; no steps means that it answers itself."""

    type: Literal["plan.made"] = "plan.made"
    steps: tuple[PlannedStep, ...]
    note: str = ""
    assumptions: tuple[str, ...] = ()
    question: str = ""


class StepStarted(_Event):
    """A specialist began."""

    type: Literal["step.started"] = "step.started"
    step_id: str
    specialist: str
    task: str


class StepFinished(_Event):
    """A specialist ended, one way or another."""

    type: Literal["step.finished"] = "step.finished"
    step_id: str
    specialist: str
    status: StepStatus
    duration_ms: float
    reason: str = ""


class ToolCalled(_Event):
    """A tool call left for its server; arguments are masked."""

    type: Literal["tool.called"] = "tool.called"
    call_id: str
    step_id: str
    tool: str
    arguments: dict[str, Any]


class ToolFinished(_Event):
    """A tool call came back, or was refused."""

    type: Literal["tool.finished"] = "tool.finished"
    call_id: str
    step_id: str
    tool: str
    status: Literal["ok", "error", "denied", "cancelled", "awaiting_approval"]
    duration_ms: float


class Progress(_Event):
    """A tool or a step says how far it is; `fraction` is 0..1 where known."""

    type: Literal["progress"] = "progress"
    step_id: str
    message: str
    fraction: float | None = None


class SourcesFound(_Event):
    """A step retrieved these."""

    type: Literal["sources.found"] = "sources.found"
    step_id: str
    sources: tuple[Source, ...]


class UsageCounted(_Event):
    """What the run has used so far, after each step and before its end."""

    type: Literal["usage.counted"] = "usage.counted"
    usage: TokenUsage
    cost: float = 0
    step_id: str = Field(default="", description="The step that has just ended; empty for the run as a whole.")


class ApprovalRequested(_Event):
    """An action waits for a person."""

    type: Literal["approval.requested"] = "approval.requested"
    step_id: str
    approval: ApprovalView


class AnswerSegment(_Event):
    """Text that the reviewer released; segments in order are the answer."""

    type: Literal["answer.segment"] = "answer.segment"
    text: str


class RunFinished(_Event):
    """The run ended with an answer (or an honest refusal)."""

    type: Literal["run.finished"] = "run.finished"
    result: RunResult


class RunFailed(_Event):
    """The run could not be completed; the message is fit for the user."""

    type: Literal["run.failed"] = "run.failed"
    code: str
    message: str
    status: int = 500


class RunCancelled(_Event):
    """Someone stopped the run; what was released stays."""

    type: Literal["run.cancelled"] = "run.cancelled"
    reason: str = ""


RunEvent = Annotated[
    RunStarted
    | PlanMade
    | StepStarted
    | StepFinished
    | ToolCalled
    | ToolFinished
    | Progress
    | SourcesFound
    | UsageCounted
    | ApprovalRequested
    | AnswerSegment
    | RunFinished
    | RunFailed
    | RunCancelled,
    Field(discriminator="type"),
]

TERMINAL = (RunFinished, RunFailed, RunCancelled)
