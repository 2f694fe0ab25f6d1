"""What the layers above see of inference."""

from dataclasses import dataclass, field
from typing import Protocol

from autogen_core.models import ChatCompletionClient

from inference.purposes import Purpose
from runs.events import TokenUsage

__all__ = ["CallScope", "Models", "Purpose", "UsageMeter"]


@dataclass
class UsageMeter:
    """Adds up what the calls of one run used; every client of the run reports here."""

    usage: TokenUsage = field(default_factory=TokenUsage)
    engines: set[str] = field(default_factory=set)
    degraded: bool = False
    cost: float = 0.0
    truncated: set[str] = field(default_factory=set)
    """Purposes of which an answer was cut off at its token limit."""

    def record(self, usage: TokenUsage, *, engine: str, degraded: bool = False, cost: float = 0.0) -> None:
        self.usage = self.usage + usage
        self.engines.add(engine)
        self.degraded = self.degraded or degraded
        self.cost += cost


@dataclass(frozen=True)
class CallScope:
    """For whom a client's calls are made: routing affinity, cache separation, metering."""

    tenant: str
    conversation_id: str
    run_id: str
    meter: UsageMeter
    priority: int = 0


class Models(Protocol):
    """Chooses the model behind each purpose."""

    def client(self, purpose: Purpose, scope: CallScope) -> ChatCompletionClient:
        """A light client for one scope; pools, breakers and limits behind it are shared. Never closes the pool."""
        ...

    def engine(self, purpose: Purpose) -> str:
        """What answers for this purpose: `embedded`, or the model's name."""
        ...

    async def health(self) -> dict[str, str]:
        """Per backend: `up`, or what is wrong with it."""
        ...

    async def close(self) -> None:
        """Close pools and stop probes."""
        ...
