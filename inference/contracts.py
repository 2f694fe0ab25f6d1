"""What the layers above see of inference."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from autogen_core.models import ChatCompletionClient

from inference.purposes import Purpose
from inference.settings import DIRECT
from runs.events import PurposeUsage, TokenUsage

__all__ = ["DIRECT", "BareModel", "CallScope", "Models", "Purpose", "UsageMeter"]


_NO_TOKENS = TokenUsage()
_NOTHING = PurposeUsage()


@dataclass
class UsageMeter:
    """Adds up what the calls of one run used; every client of the run reports here, once for each call.

    cost: in the currency of the prices in the settings, of all calls; `purposes` says what for.
    A part of the run has a meter of its own below the run's: what it records counts for both. `charge` is told the
    tokens and the cost of each call, so that whoever pays for them need not know who made it.
    """

    usage: TokenUsage = _NO_TOKENS
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
                meter.purposes[purpose] = meter.purposes.get(purpose, _NOTHING).plus(usage, cost)
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


class BareModel(Protocol):
    """One model for one request of a caller that wants no agents. What it says has not been reviewed."""

    async def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A whole chat completion for a chat body as OpenAI's; raises `UserFault` for what may not be sent."""
        ...

    def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Its chunks, in batches as they came; closing the generator ends the request at the server."""
        ...


class Models(Protocol):
    """Chooses the model behind each purpose."""

    def client(self, purpose: Purpose, scope: CallScope) -> ChatCompletionClient:
        """A light client for one scope; pools, breakers and limits behind it are shared. Never closes the pool."""
        ...

    def direct(self, scope: CallScope, *, model: str = DIRECT, money: float | None = None) -> BareModel:
        """A bare model for one request, which may cost so much; raises `NotFound` for a name that is unknown."""
        ...

    def offered(self, subjects: Collection[str]) -> tuple[str, ...]:
        """The names under which these subjects (`everyone`, `user:…`, `group:…`) may ask for bare models."""
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
