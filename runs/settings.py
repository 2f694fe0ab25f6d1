"""How long approvals wait and how much of the runs is kept."""

from pydantic import BaseModel, ConfigDict, Field


class RunsSettings(BaseModel):
    """Settings of approvals and of the run event log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    approval_ttl_s: float = Field(default=24 * 3600, gt=0, description="A decision after this comes too late.")
    approval_attempts: int = Field(
        default=3, ge=1, description="Times an approved call is tried when its server is down."
    )
    approval_timeout_s: float = Field(default=60, gt=0, description="For one try of an approved call.")
    keep_in_memory: int = Field(default=200, ge=0, description="Finished runs whose events stay in memory.")
    keep_events_in_memory: int = Field(default=100_000, ge=0, description="Events of all those runs together.")
    reader_lag_events: int = Field(
        default=500, ge=1, description="So far a reader may be behind before the run that it follows waits for it."
    )
    reader_patience_s: float = Field(
        default=20,
        gt=0,
        description="A reader that takes nothing for so long is not waited for.",
    )
    max_events: int = Field(default=20_000, ge=100, description="Events of one run; a run that emits more is failed.")
    keep_days: int = Field(default=30, ge=1, description="Finished runs are removed from the database after this.")
