"""What the gate found out about a release, as it is stored beside its manifest."""

from pydantic import BaseModel, ConfigDict

SHOWN = 300


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Failure(_Frozen):
    """One case that went wrong."""

    case: str
    why: str
    said: str = ""


class Section(_Frozen):
    """One thing that was measured."""

    name: str
    passed: bool
    score: float
    threshold: float
    cases: int
    failures: tuple[Failure, ...] = ()
    notes: tuple[Failure, ...] = ()


class Latency(_Frozen):
    """The median time of a turn, beside that of what is live, measured in turns."""

    passed: bool
    median_ms: float
    live_median_ms: float
    ratio: float
    threshold: float
    turns: int


class GateReport(_Frozen):
    """All that was measured; `passed` when nothing fell short."""

    release: str
    live: str
    at: str
    engine: str
    passed: bool
    seconds: float
    sections: tuple[Section, ...]
    latency: Latency | None = None
    refusal: str = ""
    """Why nothing could be measured: files, parameters or tools that cannot be used here."""

    def to_json(self) -> bytes:
        """As it is kept."""
        return self.model_dump_json(indent=2).encode() + b"\n"
