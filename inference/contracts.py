"""What the layers above see of inference."""

from dataclasses import dataclass, field
from typing import Protocol

from autogen_core.models import ChatCompletionClient

from inference.purposes import Purpose
from runs.events import PurposeUsage, TokenUsage

__all__ = ["CallScope", "Models", "Purpose", "UsageMeter"]


@dataclass
class UsageMeter:
    """Adds up what the calls of one run used; every client of the run reports here, once for each call.

    cost: in the currency of the prices in the settings, of all calls; `purposes` says what for.
    """

    usage: TokenUsage = field(default_factory=TokenUsage)
    engines: set[str] = field(default_factory=set)
    degraded: bool = False
    cost: float = 0.0
    truncated: set[str] = field(default_factory=set)
    """Purposes of which an answer was cut off at its token limit."""
    purposes: dict[Purpose, PurposeUsage] = field(default_factory=dict)

    def record(
        self,
        usage: TokenUsage,
        *,
        engine: str,
        degraded: bool = False,
        cost: float = 0.0,
        purpose: Purpose | None = None,
    ) -> None:
        """Book one call; without a purpose it counts in the sums alone."""
        self.usage = self.usage + usage
        self.engines.add(engine)
        self.degraded = self.degraded or degraded
        self.cost += cost
        if purpose is not None and usage.model_calls:
            self.purposes[purpose] = self.purposes.get(purpose, PurposeUsage()).plus(usage, cost)


@dataclass(frozen=True)
class CallScope:
    """For whom a client's calls are made: routing affinity, cache separation, metering."""

    tenant: str
    conversation_id: str
    run_id: str
    meter: UsageMeter
    priority: int = 0
    purpose: Purpose | None = None
    """What for, where one client serves one purpose; the embedded engine books its calls under it."""


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
