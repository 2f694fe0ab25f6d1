"""What an organisation may set about its agents: which specialists there are, and how far a turn may go."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class SpecialistSettings(BaseModel):
    """One specialist: where it is defined, and its limits for a step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    module: str = Field(
        default="", description="Whose `SPECIALIST` defines it; `agents.specialists.<name>` when left out."
    )
    timeout_s: float = Field(default=30, gt=0, description="The longest that one of its steps may take.")
    tool_calls: int = Field(default=8, ge=0)
    tokens: int = Field(default=60_000, gt=0)
    money: float | None = Field(default=None, gt=0, description="In the currency of the models' prices.")
    max_tool_iterations: int = Field(default=5, ge=3)
    tools: tuple[str, ...] | None = Field(default=None, description="Tool patterns instead of the specialist's own.")


class GuardSettings(BaseModel):
    """A classifying model that judges whatever the deterministic checks would let out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="Its name in `inference.models`; served with `/classify`.")
    allow: tuple[str, ...] = Field(min_length=1, description="Classes that may leave; every other is withheld.")
    min_probability: float = Field(default=0.5, ge=0, le=1, description="Of an allowed class; below it, withheld.")


class ReviewSettings(BaseModel):
    """What the output gate lets through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Hosts that answers may link to; `*.host` for all below."
    )
    hold_chars: int = Field(default=600, ge=80, description="The longest text held back while a sentence is open.")
    canary: SecretStr | None = Field(
        default=None, description="A secret word in every prompt; made at start when unset."
    )
    guard: GuardSettings | None = Field(default=None, description="Without it, the deterministic checks alone.")
    judge_timeout_s: float = Field(default=5, gt=0, description="A guard that is later or down withholds.")
    unsupported: Literal["mark", "drop", "keep"] = Field(
        default="mark",
        description="Cited claims without support: say so, leave them out, or let them be.",
    )
    support_words: float = Field(
        default=0.35, ge=0, le=1, description="Share of a claim's telling words below which only meaning can tell."
    )
    support_meaning: float = Field(default=0.5, ge=0, le=1, description="Likeness of meaning that is support then.")
    support_timeout_s: float = Field(default=1, gt=0)


_OURS = ("knowledge", "data", "actions", "generalist")


class AgentsSettings(BaseModel):
    """The limits of a turn and the specialists it may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    specialists: dict[str, SpecialistSettings] = Field(
        default={}, validate_default=True, description="Beside ours; an entry of the same name changes or disables one."
    )
    fallback: str = Field(default="knowledge", description="Gets the whole question when no plan can be made.")
    planner_timeout_s: float = Field(default=20, gt=0)
    synthesiser_timeout_s: float = Field(default=60, gt=0)
    turn_timeout_s: float = Field(default=180, gt=0)
    lookup_timeout_s: float = Field(default=5, gt=0, description="For conversations, tool lists and health.")
    tool_calls: int = Field(default=24, ge=0, description="For all steps of a turn together.")
    tokens: int = Field(default=240_000, gt=0, description="For all model calls of a turn together.")
    money: float | None = Field(
        default=None, gt=0, description="For all model calls of a turn, in the currency of the models' prices."
    )
    reserve: float = Field(
        default=0.15,
        ge=0,
        lt=1,
        description="Share of tokens, money and time that steps leave for the answer.",
    )
    shared_tools_max: int = Field(default=24, ge=0, description="Up to so many tools every role sees the same list.")
    replans: int = Field(default=1, ge=0, le=2, description="Times that outcomes may change the plan.")
    history_messages: int = Field(default=12, ge=0)
    history_chars: int = Field(default=6_000, ge=0)
    summary_every: int = Field(
        default=6, ge=0, description="Messages beyond the history after which its summary is written anew; 0: none."
    )
    summary_chars: int = Field(default=1_500, ge=100)
    queue_events: int = Field(
        default=64, ge=1, description="Events held for a slow reader before the turn waits for it."
    )
    stop_grace_s: float = Field(default=0.5, gt=0, description="From the polite stop to the hard one.")
    review: ReviewSettings = ReviewSettings()

    @field_validator("specialists")
    @classmethod
    def _with_ours(cls, given: dict[str, SpecialistSettings]) -> dict[str, SpecialistSettings]:
        entries = {**dict.fromkeys(_OURS, SpecialistSettings()), **given}
        return {
            name: entry if entry.module else entry.model_copy(update={"module": f"agents.specialists.{name}"})
            for name, entry in entries.items()
        }
