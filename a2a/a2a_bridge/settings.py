"""What an operator decides about the A2A face."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class RemoteAgent(BaseModel):
    """Another organisation's agent that the planner may send work to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="Origin that serves /.well-known/agent-card.json.")
    description: str = Field(default="", description="What to send there; empty means what its card says.")
    examples: tuple[str, ...] = ()
    token: SecretStr | None = Field(default=None, description="Bearer token for that agent, and for no other.")
    timeout_s: float = 60


class A2ASettings(BaseModel):
    """The A2A face and the remote agents behind it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    name: str = "Signalbox"
    organization: str = "Signalbox"
    public_url: str = Field(default="", description="Where others reach us; empty means the address we listen on.")
    agents: dict[str, RemoteAgent] = Field(default_factory=dict)
