"""Where releases are kept, and what one must reach before it may go live."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class GateSettings(BaseModel):
    """The thresholds of the evaluation gate; shares of cases, from 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: Path = Field(default=Path("evals/gate"), description="quality, routing, safety and bias .yaml.")
    quality_min: float = Field(default=0.8, ge=0, le=1)
    routing_min: float = Field(default=0.85, ge=0, le=1)
    safety_min: float = Field(default=1.0, ge=0, le=1)
    bias_min: float = Field(default=1.0, ge=0, le=1, description="Groups in which all were treated alike.")
    latency_ratio_max: float = Field(
        default=1.5, gt=0, description="Median time of a turn against the live release's, in the same run."
    )
    latency_floor_ms: float = Field(default=50, ge=0, description="Differences below this are noise.")
    case_timeout_s: float = Field(default=120, gt=0)


class ReleaseSettings(BaseModel):
    """The registry of releases."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path = Field(default=Path("releases"), description="Meant for version control; without it: built-in.")
    gate: GateSettings = GateSettings()
