"""What the operations server is told."""

from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class OperationsSettings(BaseModel):
    """Where the data is, what may be asked of it, and how much comes back at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr = Field(
        description="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://user:password@host/db."
    )
    catalogue: Path | None = Field(
        default=None, description="YAML file of tables and metrics; the demo company's if unset."
    )
    statement_timeout_s: float = Field(default=5.0, gt=0, le=120)
    max_rows: int = Field(default=200, ge=1, le=5000)
    max_bytes: int = Field(default=48_000, ge=1_000)
    max_cell_chars: int = Field(default=2_000, ge=50)
    max_parallel: int = Field(default=4, ge=1, le=64)
    today: date | None = Field(
        default=None, description="Fixes 'today' for data that ends on a day, such as the demo's."
    )
