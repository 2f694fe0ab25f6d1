"""How much batch work there may be, and how far it stands back behind people."""

from pydantic import BaseModel, ConfigDict, Field


class BatchSettings(BaseModel):
    """Settings of files and batches. Limits of work are per process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(default=True, description="Work on batches in this process; files and routes stay.")
    concurrency: int = Field(default=8, ge=1, description="Lines worked on at once while nobody else asks.")
    stand_back: int = Field(default=4, ge=1, description="So many lines fewer for each run that a person waits for.")
    min_concurrency: int = Field(
        default=1, ge=0, description="Lines worked on however many people ask; 0: batches wait until it is quiet."
    )
    quiet_after_s: float = Field(
        default=3, ge=0, description="People who asked within this time count as if they were still waiting."
    )
    priority: int = Field(default=10, ge=10, description="At the model server; people have 0.")
    line_timeout_s: float = Field(default=600, gt=0)
    retry_for_s: float = Field(
        default=900, ge=0, description="A line that finds its model busy or down is tried again for so long."
    )
    max_file_bytes: int = Field(default=100 * 1024 * 1024, ge=1024)
    max_user_bytes: int = Field(default=1024 * 1024 * 1024, ge=1024, description="Of all files of one person.")
    max_lines: int = Field(default=50_000, ge=1)
    max_open_batches: int = Field(default=16, ge=1, description="Of one person.")
    keep_days: int = Field(default=30, ge=1, description="Files and ended batches are removed after this.")
    lease_s: float = Field(
        default=20, gt=0, description="A replica that is silent for so long loses its batches to the others."
    )
