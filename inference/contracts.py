"""What the layers above see of inference."""

from collections.abc import Callable
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
    A part of the run has a meter of its own below the run's: what it records counts for both. `charge` is told the
    tokens and the cost of each call, so that whoever pays for them need not know who made it.
    """

    usage: TokenUsage = field(default_factory=TokenUsage)
    engines: set[str] = field(default_factory=set)
    degraded: bool = False
    cost: float = 0.0
    truncated: set[str] = field(default_factory=set)
    """Purposes of which an answer was cut off at its token limit."""
    purposes: dict[Purpose, PurposeUsage] = field(default_factory=dict)
    parent: "UsageMeter | None" = None
    charge: Callable[[int, float], None] | None = None

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
        if self.charge is not None:
            self.charge(usage.total_tokens, cost)
        meter: UsageMeter | None = self
        while meter is not None:
            meter.usage = meter.usage + usage
            meter.engines.add(engine)
            meter.degraded = meter.degraded or degraded
            meter.cost += cost
            if purpose is not None and usage.model_calls:
                meter.purposes[purpose] = meter.purposes.get(purpose, PurposeUsage()).plus(usage, cost)
            meter = meter.parent

    def part(self, charge: Callable[[int, float], None]) -> "UsageMeter":
        """A meter below this one, whose calls are charged to somebody else."""
        return UsageMeter(parent=self, charge=charge, truncated=self.truncated)


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
