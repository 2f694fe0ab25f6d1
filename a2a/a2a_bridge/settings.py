"""What an operator decides about the A2A face."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from toolbus.settings import SERVER_NAME


class RemoteAgent(BaseModel):
    """Another organisation's agent that the planner may send work to.

    To ask it is a call on the tool bus, of the tool `NAME__ask`: reviewed, decided by policy, recorded. It may act over
    there, so a person confirms each call unless it is `read_only` or a rule names the tool.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="Origin that serves /.well-known/agent-card.json.")
    description: str = Field(default="", description="What to send there; empty means what its card says.")
    examples: tuple[str, ...] = ()
    token: SecretStr | None = Field(default=None, description="Bearer token for that agent, and for no other.")
    timeout_s: float = Field(default=60, gt=0, description="For one task of it.")
    read_only: bool = Field(default=False, description="It only answers: asked without confirmation, and once more.")
    auto_approve: bool = Field(
        default=False, description="Its card needs no review, now and when it changes; a rule must say who may ask it."
    )


class A2ASettings(BaseModel):
    """The A2A face and the remote agents behind it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    name: str = "Signalbox"
    organization: str = "Signalbox"
    public_url: str = Field(default="", description="Where others reach us; empty means the address we listen on.")
    agents: dict[str, RemoteAgent] = Field(default_factory=dict)
    card_refresh_s: float = Field(default=60, gt=0, description="How often a remote agent's card is looked at again.")

    @model_validator(mode="after")
    def _names_for_the_bus(self) -> Self:
        for name in self.agents:
            if not SERVER_NAME.fullmatch(name):
                raise ValueError(f"the agent's name {name!r} must match {SERVER_NAME.pattern}")
        return self
