"""Texts into vectors for callers who search on their own: bounded and audited by count, nothing kept of content.

Vectors say nothing that a reader could read, so there is nothing for the reviewer.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agents.direct_audit import CallAudit
from agents.direct_calls import ModelNotFound
from agents.settings import AgentsSettings
from inference.contracts import CallScope, UsageMeter
from inference.texts import TextVectors
from signalbox.errors import SignalboxError, TooLarge, UpstreamDown
from signalbox.identity import Principal

EMBEDDING = "embedding"
"""The name under which callers ask for whichever model makes the vectors here."""
_BYTES_PER_TOKEN = 4


@dataclass(frozen=True)
class EmbeddingAsk:
    """One call as its caller made it. priority: above 0 nobody waits for it."""

    principal: Principal
    model: str
    texts: Sequence[str]
    run_id: str
    priority: int = 0


class EmbeddingCalls:
    """Makes vectors with the one model that this installation has for it."""

    def __init__(self, vectors: TextVectors, audit: CallAudit, settings: AgentsSettings) -> None:
        self._vectors = vectors
        self._audit = audit
        self._settings = settings

    @property
    def engine(self) -> str:
        """The model's own name; vectors of two names cannot be compared."""
        return self._vectors.model

    async def embed(self, ask: EmbeddingAsk, meter: UsageMeter) -> list[list[float]]:
        """A vector for each text; what it used is on the meter. It is audited whatever becomes of it."""
        self._audit.admit()
        if ask.model not in (names := (EMBEDDING, self.engine)):
            self._audit.refused(ask.principal, ask.run_id, ask.model)
            hint = f"Use {' or '.join(repr(name) for name in names)}."
            raise ModelNotFound(f"There is no embedding model {ask.model!r}.", hint=hint, param="model")
        if sum(len(text.encode()) for text in ask.texts) // _BYTES_PER_TOKEN > self._settings.tokens:
            told = f"The texts are too long: one call may use {self._settings.tokens} tokens."
            raise TooLarge(told, hint="Send fewer at once.", param="input")
        started = time.perf_counter()
        outcome, code = "cancelled", ""
        try:
            made = await self._made(ask, meter)
            outcome = "ok"
        except SignalboxError as error:
            outcome, code = "failed", error.code
            raise
        finally:
            took_ms = (time.perf_counter() - started) * 1000
            self._audit.embedded(ask, self.engine, meter, outcome=outcome, error=code, duration_ms=took_ms)
        return made

    async def _made(self, ask: EmbeddingAsk, meter: UsageMeter) -> list[list[float]]:
        purpose = "batch" if ask.priority else "direct"
        scope = CallScope(ask.principal.tenant, "", ask.run_id, meter, ask.priority, purpose)
        limit_s = self._settings.turn_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._vectors.embed(ask.texts, scope=scope)
        except TimeoutError as error:
            told = f"The embedding model {self.engine!r} did not answer within {limit_s:g} s."
            raise UpstreamDown(told, hint="Send fewer texts at once.", retry_after_s=5) from error
