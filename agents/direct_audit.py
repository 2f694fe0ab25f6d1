"""The audit record of a bare model call: who asked what of which model, and what came of it. No content."""

from typing import TYPE_CHECKING, Any, Protocol

from toolbus.trace import current_trace_id

if TYPE_CHECKING:
    from agents.direct_calls import DirectAsk, DirectReply
    from agents.embedding_calls import EmbeddingAsk
    from inference.contracts import UsageMeter
    from signalbox.identity import Principal


class Chain(Protocol):
    """Where records go (`toolbus.audit.AuditLog`)."""

    def admit(self) -> None:
        """Raise `UpstreamDown` where no record could be kept of what is about to happen."""
        ...

    def append(self, facts: dict[str, Any]) -> None:
        """Add one record to the chain."""
        ...


class CallAudit:
    """Writes one record for each call."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def admit(self) -> None:
        """Before a call: what cannot be recorded is not done (`UpstreamDown`)."""
        self._chain.admit()

    def refused(self, principal: "Principal", run_id: str, model: str) -> None:
        """A caller asked for a model that it may not use, or that is not there."""
        self._chain.append({**_who(principal, run_id, model), "outcome": "denied"})

    def called(self, ask: "DirectAsk", reply: "DirectReply", *, outcome: str, error: str, duration_ms: float) -> None:
        """A call is over."""
        usage, tools = reply.meter.usage, ask.body.get("tools")
        self._chain.append(
            {
                **_who(ask.principal, ask.run_id, ask.model),
                "engine": reply.engine,
                "degraded": reply.meter.degraded,
                "release": reply.release,
                "messages": len(ask.body["messages"]) if isinstance(ask.body.get("messages"), list) else 0,
                "tools": len(tools) if isinstance(tools, list) else 0,
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "cached_tokens": usage.cached_tokens,
                "cost": reply.meter.cost,
                "review": reply.verdict,
                "reasons": reply.reasons,
                "finish_reason": reply.finish_reason,
                "outcome": outcome,
                "error": error,
                "duration_ms": round(duration_ms, 3),
            }
        )

    def embedded(
        self, ask: "EmbeddingAsk", engine: str, meter: "UsageMeter", *, outcome: str, error: str, duration_ms: float
    ) -> None:
        """Texts became vectors, or did not; how many, never which."""
        self._chain.append(
            {
                **_who(ask.principal, ask.run_id, ask.model),
                "purpose": "embedding",
                "engine": engine,
                "texts": len(ask.texts),
                "prompt_tokens": meter.usage.prompt_tokens,
                "cost": meter.cost,
                "outcome": outcome,
                "error": error,
                "duration_ms": round(duration_ms, 3),
            }
        )


def _who(principal: "Principal", run_id: str, model: str) -> dict[str, Any]:
    return {
        "event": "model.call",
        "run": run_id,
        "trace": current_trace_id(),
        "tenant": principal.tenant,
        "user": principal.user,
        "groups": sorted(principal.groups),
        "purpose": "direct",
        "model": model[:200],
    }
