"""What a turn knows of its conversation: the latest messages as they are, and a summary of those before.

The summary rolls along: when enough messages have left the window it is written anew, after the turn, from itself and
them; a model writes it, or code does where there is none or it fails. What is not in it yet is added by code, so that
nothing is ever missing. It is material like anything that a conversation holds, and belongs to its owner alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from autogen_core import CancellationToken

from agents.history import from_messages, outside
from agents.prompting import Prompts
from agents.reviewer import Reviewer
from agents.scope import bounded
from agents.settings import AgentsSettings
from conversations.contracts import ConversationStore, Message, Summary
from conversations.memory import extract, is_tainted
from inference.contracts import CallScope, Models
from signalbox.errors import SignalboxError
from signalbox.identity import Principal

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Recalled:
    """A conversation as its next turn sees it; `due` is what the stored summary does not hold yet."""

    history: Sequence[dict[str, str]] = ()
    summary: str = ""
    stored: Summary = field(default_factory=Summary)
    due: Sequence[Message] = ()
    asked_back: bool = False
    """Whether the last answer was a question to the user."""


async def recall(
    store: ConversationStore, principal: Principal, conversation_id: str, settings: AgentsSettings
) -> Recalled:
    """What is known of a conversation of this principal."""
    reach = settings.history_messages + 2 * settings.summary_every
    messages = await store.history(principal, conversation_id, limit=reach)
    history = from_messages(messages, settings)
    last = messages[-1].result if messages else None
    asked_back = bool(last and last.question)
    if not settings.summary_every:
        return Recalled(history, asked_back=asked_back)
    left = outside(messages, history)
    if not left:
        return Recalled(history, asked_back=asked_back)
    stored = await store.summary(principal, conversation_id)
    due = [message for message in left if message.id > stored.upto]
    said = [(message.role, message.text) for message in due]
    text = extract(stored.text, said, max_chars=settings.summary_chars)
    return Recalled(history, text, stored, due, asked_back)


class SummaryWriter:
    """Writes the next summary."""

    def __init__(self, models: Models, prompts: Prompts, reviewer: Reviewer, settings: AgentsSettings) -> None:
        self._models = models
        self._prompts = prompts
        self._reviewer = reviewer
        self._settings = settings

    async def write(self, recalled: Recalled, scope: CallScope, *, by_model: bool = True) -> Summary:
        """The stored summary and what is due, in one; never fails. Code writes it where no model may or can."""
        text = ""
        if by_model and self._models.engine("synthesiser") != "embedded" and self._prompts.has("memory"):
            try:
                text = await self._written(recalled, scope)
            except (TimeoutError, SignalboxError) as error:
                _log.warning("summary.not_written", run_id=scope.run_id, error=type(error).__name__)
        text = self._reviewer.clean(text.strip())[: self._settings.summary_chars] or recalled.summary
        return Summary(text=text, upto=recalled.due[-1].id, tainted=is_tainted(recalled.stored, recalled.due))

    async def _written(self, recalled: Recalled, scope: CallScope) -> str:
        said = [{"role": message.role, "text": message.text[:2000]} for message in recalled.due]
        messages = self._prompts.messages("memory", {"summary": recalled.stored.text, "history": said})
        client = self._models.client("synthesiser", scope)
        result = await bounded(
            lambda token: client.create(messages, cancellation_token=token),
            CancellationToken(),
            timeout_s=self._settings.planner_timeout_s,
            grace_s=self._settings.stop_grace_s,
        )
        return result.content if isinstance(result.content, str) else ""
