"""What a batch is, in the states and words of OpenAI's batch API, and who works on one of its lines."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from signalbox.identity import Principal

FilePurpose = Literal["batch", "batch_output"]
Outlet = Literal["output", "error"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class StoredFile(_Frozen):
    """A file without its content."""

    id: str
    filename: str
    purpose: FilePurpose
    bytes: int
    created_at: datetime
    expires_at: datetime


class BatchState(StrEnum):
    """validating → in_progress → finalizing → completed; or failed, expired, cancelling → cancelled."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


OPEN_STATES = frozenset({BatchState.VALIDATING, BatchState.IN_PROGRESS, BatchState.CANCELLING})
"""States in which there is work left: for the lines, or for whoever must stop them."""


class LineFault(_Frozen):
    """What is wrong with a line of the input file; the batch does not begin."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Counts(_Frozen):
    """Every line ends as completed or failed; what a cancelled or expired batch left out has failed."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class BatchRequest(_Frozen):
    """What its owner asked for."""

    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"] = "24h"
    metadata: dict[str, str] = Field(default_factory=dict)


class Batch(_Frozen):
    """A batch as its owner sees it."""

    id: str
    request: BatchRequest
    state: BatchState
    counts: Counts = Counts()
    output_file_id: str | None = None
    error_file_id: str | None = None
    faults: tuple[LineFault, ...] = ()
    created_at: datetime
    expires_at: datetime
    times: dict[str, datetime] = Field(
        default_factory=dict, description="When it entered a state, by the state's name; those that it went through."
    )


class Work(_Frozen):
    """A batch as the process sees it that works on it."""

    batch: Batch
    owner: Principal


class Line(_Frozen):
    """One request of an input file."""

    position: int
    custom_id: str
    body: dict[str, Any]


class Reply(_Frozen):
    """What came of one line: an HTTP answer, as the caller of the endpoint would have got it."""

    status: int
    body: dict[str, Any]
    request_id: str
    retry_after_s: float | None = None


class LineWorker(Protocol):
    """Answers one line as its endpoint would, for its owner, behind the same reviewer and budgets."""

    async def answer(self, owner: Principal, endpoint: str, body: dict[str, Any]) -> Reply:
        """The reply; refusals are replies too. Raises `Interrupted` when it was stopped from outside.

        Cancelling the task stops everything that works for the line.
        """
        ...


class Interrupted(Exception):
    """The line was stopped before it had a result: it has not been answered, and is worked on again later."""


class Load(Protocol):
    """How busy the process is with people."""

    @property
    def people(self) -> int:
        """Runs that a person waits for."""
        ...

    @property
    def draining(self) -> bool:
        """Whether the process is about to end."""
        ...
