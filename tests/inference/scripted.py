"""A chat client of this process that says one thing: stands where wiring puts the embedded engine."""

from autogen_core.models import ChatCompletionClient, CreateResult, ModelFamily, ModelInfo, RequestUsage

from inference.contracts import CallScope
from runs.events import TokenUsage


class ScriptedClient(ChatCompletionClient):
    """Says `content`; remembers what it was asked."""

    def __init__(self, scope: CallScope, content):
        self._scope = scope
        self._content = content
        self.asked: list[dict] = []

    async def create(self, messages, **options):
        self.asked.append({"messages": messages, **options})
        self._scope.meter.record(TokenUsage(prompt_tokens=3, completion_tokens=5, model_calls=1), engine="embedded")
        usage = RequestUsage(prompt_tokens=3, completion_tokens=5)
        finish = "stop" if isinstance(self._content, str) else "function_calls"
        return CreateResult(finish_reason=finish, content=self._content, usage=usage, cached=False)

    async def create_stream(self, messages, **options):
        result = await self.create(messages, **options)
        if isinstance(result.content, str):
            for word in result.content.split(" "):
                yield word + " "
        yield result

    async def close(self):
        pass

    def actual_usage(self):
        return RequestUsage(prompt_tokens=3, completion_tokens=5)

    total_usage = actual_usage

    def count_tokens(self, messages, *, tools=()):
        return 3

    def remaining_tokens(self, messages, *, tools=()):
        return 1000

    @property
    def capabilities(self):
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False, function_calling=True, json_output=True, structured_output=True, family=ModelFamily.UNKNOWN
        )
