"""Bare model calls, for callers who bring their own loop and tools: no plan, no conversation, nothing kept of content.

The gate, the audit log, admission and metering are those of every other way to a model.
"""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import structlog

from agents.crews import Crews
from agents.direct_audit import CallAudit
from agents.direct_draft import Draft, Piece, text_of
from agents.orchestrator import Crew
from agents.review.verdict import Action
from agents.settings import AgentsSettings
from inference.contracts import CallScope, Purpose, UsageMeter
from inference.errors import ModelFault
from signalbox.errors import NotFound, SignalboxError, TooLarge, UpstreamDown
from signalbox.identity import Principal

_log = structlog.get_logger(__name__)
_BYTES_PER_TOKEN = 4
_START = 2000
_LIMITS = ("max_completion_tokens", "max_tokens")


class ModelNotFound(NotFound):
    """A model that is not offered, or not to this caller."""

    code = "model_not_found"


@dataclass(frozen=True)
class DirectAsk:
    """One call as its caller made it; `body` is a chat body as OpenAI's, `size` its bytes.

    session: equal for calls that share the start of their prompt; empty: told from the first messages.
    priority: above 0 nobody waits for it, and it is routed as batch work.
    """

    principal: Principal
    model: str
    body: Mapping[str, Any]
    run_id: str
    size: int
    session: str = ""
    priority: int = 0


@dataclass
class DirectReply:
    """How a call ended and what it used; complete once the call is over."""

    engine: str = ""
    release: str = ""
    finish_reason: str = "stop"
    verdict: Action = "release"
    reasons: list[str] = field(default_factory=list)
    meter: UsageMeter = field(default_factory=UsageMeter)


class DirectCalls:
    """Begins bare model calls."""

    def __init__(self, crews: Crews, audit: CallAudit, settings: AgentsSettings) -> None:
        self._crews = crews
        self._audit = audit
        self._settings = settings

    def names(self, principal: Principal) -> tuple[str, ...]:
        """The models that this caller may name."""
        return self._crews.current.models.offered(principal.subjects)

    async def begin(self, ask: DirectAsk) -> "DirectCall":
        """A call to complete or to stream, once; raises `ModelNotFound` where the caller may not ask this model."""
        self._audit.admit()
        session = ask.session or _session(ask.body)
        crew = await self._crews.choose(session)
        names = crew.models.offered(ask.principal.subjects)
        if ask.model not in names:
            self._audit.refused(ask.principal, ask.run_id, ask.model)
            known = ", ".join(("signalbox", *names))
            raise ModelNotFound(f"The model {ask.model!r} does not exist.", hint=f"Use one of {known}.", param="model")
        return DirectCall(ask, session, crew, self._audit, self._bounded(ask), self._settings.money)

    def _bounded(self, ask: DirectAsk) -> Mapping[str, Any]:
        """The body with the limit that a call has here, where the caller's is higher."""
        room = self._settings.tokens - ask.size // _BYTES_PER_TOKEN
        if room <= 0:
            told = f"The request is too long: one call may use {self._settings.tokens} tokens."
            raise TooLarge(told, hint="Send less.", param="messages")
        lowered = {name: room for name in _LIMITS if isinstance(ask.body.get(name), int) and ask.body[name] > room}
        return {**ask.body, **lowered} if lowered else ask.body


class DirectCall:
    """One call. Cancelling it, or closing its stream, ends it at the model server; either way it is audited."""

    def __init__(
        self,
        ask: DirectAsk,
        session: str,
        crew: Crew,
        audit: CallAudit,
        body: Mapping[str, Any],
        money: float | None = None,
    ) -> None:
        self._ask = ask
        self._audit = audit
        self._body = body
        self._draft: Draft | None = None
        self._reviewer = crew.reviewer
        self._started = time.perf_counter()
        self.reply = DirectReply(release=crew.release)
        purpose: Purpose = "batch" if ask.priority else "direct"
        scope = CallScope(ask.principal.tenant, session, ask.run_id, self.reply.meter, ask.priority, purpose)
        self._engine = crew.models.engine(purpose) if ask.model == "direct" else ask.model
        self._model = crew.models.direct(scope, model=ask.model, money=money)

    async def complete(self) -> Piece:
        """The whole answer, as far as it may leave."""
        try:
            completion = await self._model.complete(self._body)
            draft = self._draft = Draft(self._reviewer, self._body, streamed=False)
            choice = _choice(completion)
            draft.add(choice.get("message") or {})
            piece = await draft.finish()
            self._stopped(choice.get("finish_reason"))
        except BaseException as error:
            self._over(error)
            raise
        self._over(None)
        return piece

    async def stream(self) -> AsyncGenerator[Piece, None]:
        """What may leave, as soon as it may. An answer that breaks off before any of it has left is asked for again."""
        begun = False
        try:
            for last in (False, True):
                try:
                    async with aclosing(self._pieces()) as pieces:
                        async for piece in pieces:
                            begun = True
                            yield piece
                    break
                except UpstreamDown as error:
                    if begun or last or self._draft is None or isinstance(error, ModelFault):
                        raise
                    _log.warning("call.asked_again", run_id=self._ask.run_id, error=error.code)
        except BaseException as error:
            self._over(error)
            raise
        self._over(None)

    async def _pieces(self) -> AsyncGenerator[Piece, None]:
        finish: str | None = None
        draft: Draft | None = None
        async with aclosing(self._model.stream(self._body)) as batches:
            async for batch in batches:
                draft = draft or Draft(self._reviewer, self._body, streamed=True)  # the body has been checked by now
                self._draft = draft
                for chunk in batch:
                    if not chunk.get("choices"):
                        continue
                    choice = _choice(chunk)
                    finish = choice.get("finish_reason") or finish
                    if delta := choice.get("delta"):
                        draft.add(delta)
                if text := await draft.ready():
                    yield Piece(text)
                if draft.withheld:
                    break
        if draft is not None and (rest := await draft.finish()):
            yield rest
        self._stopped(finish)

    def _stopped(self, finish: str | None) -> None:
        draft = self._draft
        if draft is not None:
            self.reply.verdict, self.reply.reasons = draft.verdict, draft.reasons
        if draft is not None and draft.withheld:
            finish = "content_filter"
        elif draft is not None and draft.called and finish == "stop":  # so some servers end a named choice
            finish = "tool_calls"
        elif finish == "tool_calls" and (draft is None or not draft.called):  # a call that could not be parsed
            finish = "stop"
        self.reply.finish_reason = finish or "stop"

    def _over(self, error: BaseException | None) -> None:
        """Write down what became of it, whatever that is."""
        reply = self.reply
        engines = sorted(reply.meter.engines)
        reply.engine = self._engine if not engines or self._engine in engines else engines[0]
        if reply.verdict != "release":
            _log.info("review.verdict", action=reply.verdict, reasons=reply.reasons, run_id=self._ask.run_id)
        outcome = "ok" if error is None else "failed" if isinstance(error, Exception) else "cancelled"
        code = error.code if isinstance(error, SignalboxError) else ""
        took_ms = (time.perf_counter() - self._started) * 1000
        self._audit.called(self._ask, reply, outcome=outcome, error=code, duration_ms=took_ms)


def _choice(completion: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        choice = completion["choices"][0]
    except (IndexError, KeyError, TypeError):
        choice = None
    if not isinstance(choice, Mapping):
        raise ModelFault("The model server sent something that is not a chat completion.")
    return choice


def _session(body: Mapping[str, Any]) -> str:
    """Equal for the calls of one conversation, whose first messages stay: it stays with the server that knows them."""
    messages = body.get("messages")
    start = "\x1f".join(text_of(message)[:_START] for message in messages[:2]) if isinstance(messages, list) else ""
    return blake2b(start.encode("utf-8", "replace"), digest_size=12).hexdigest()
