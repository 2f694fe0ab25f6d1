"""A plain model call for those who want just that: no plan, no tools, the same gate."""

from autogen_core import CancellationToken
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage, UserMessage

from agents.scope import Turn
from agents.synthesiser import stream_into
from inference.contracts import Models, Purpose


class DirectAnswer:
    """Sends the conversation to the model as it is, and its answer through the reviewer."""

    def __init__(self, turn: Turn, models: Models) -> None:
        self.answered_by: Purpose = "batch" if turn.request.priority else "direct"
        self._turn = turn
        self._models = models
        self.finish_reason = "stop"

    @property
    def declined(self) -> bool:
        """Whether the model said that it has no answer."""
        return self._turn.release.declined

    async def run(self, *, task: str, cancellation_token: CancellationToken) -> None:
        """One streamed call."""
        messages: list[LLMMessage] = [_message(item) for item in self._turn.history]
        messages.append(UserMessage(content=task, source="user"))
        client = self._models.client(self.answered_by, self._turn.calls)
        asked = {"max_tokens": self._turn.request.max_tokens, "temperature": self._turn.request.temperature}
        self.finish_reason = await stream_into(
            self._turn.release,
            client,
            messages,
            cancellation_token,
            extra={name: value for name, value in asked.items() if value is not None},
        )


def _message(item: dict[str, str]) -> LLMMessage:
    match item["role"]:
        case "assistant":
            return AssistantMessage(content=item["text"], source="assistant")
        case "system":
            return SystemMessage(content=item["text"])
        case _:
            return UserMessage(content=item["text"], source="user")
