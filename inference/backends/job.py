"""One request to a model, as the backends see it."""

from dataclasses import dataclass, field

from inference.contracts import CallScope
from inference.telemetry import CallRecord


@dataclass
class Job:
    """A body to post, for whom, and where its measurements go."""

    path: str
    body: bytes
    scope: CallScope
    priority: int
    record: CallRecord
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def affinity(self) -> str:
        """Equal for calls that share a prompt prefix: the turns of one conversation."""
        return f"{self.scope.tenant}\x1f{self.scope.conversation_id}"
