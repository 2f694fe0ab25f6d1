"""A model behind an OpenAI-compatible API, as AutoGen's agents see it.

What a server sends is checked here before an agent sees it: tool arguments against the tool's schema, structured
answers against their model; one repeat tells the model what was wrong. Cancelling (token, task or closing the
generator) closes the HTTP request at once.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # pyright: ignore[reportDeprecated]
    ModelFamily,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from inference.answer import Answer
from inference.backends.job import Job
from inference.backends.pool import ModelPool
from inference.backends.stream import ReplyStream
from inference.conclude import conclude
from inference.contracts import CallScope, Purpose
from inference.errors import ModelFault
from inference.interrupt import Interrupt
from inference.messages import estimate_tokens
from inference.request import Ask, ToolChoice, Usage, chat_body, chat_job
from inference.schemas import Invalid
from inference.telemetry import CallRecord, Telemetry
from signalbox.errors import UpstreamDown


@dataclass(frozen=True)
class Route:
    """A model chosen for a purpose, with the parameters of that purpose."""

    purpose: Purpose
    pool: ModelPool
    parameters: Mapping[str, Any]
    degraded: bool = False

    @property
    def label(self) -> str:
        """The model's name."""
        return self.pool.label


class RemoteChatClient(ChatCompletionClient):
    """Calls one model for one scope. Light: pools, breakers and limits live in the `ModelPool`."""

    def __init__(self, route: Route, scope: CallScope, telemetry: Telemetry) -> None:
        self._route = route
        self._scope = scope
        self._telemetry = telemetry
        self._total = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._last = self._total

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """One whole answer; raises `ModelFault` for one that is cut off, empty or, after one repeat, not valid."""
        ask = Ask(messages, tools, tool_choice, json_output, self._parameters(extra_create_args))
        interrupt = Interrupt(cancellation_token)
        body = chat_body(ask, self._route.pool.model)
        for last in (False, True):
            answer = Answer()
            try:
                with self._record() as record:
                    completion = await interrupt.run(self._fetch(body, record), _forget)
                    answer.add_completion(completion, record.tally)
                    return self._counted(conclude(ask, answer, record))
            except Invalid as invalid:
                body = self._again(body, answer, invalid, last=last)
        raise AssertionError("The second attempt returns or raises.")

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Text as it comes, then the result. A structured answer is one piece: nothing unchecked is streamed."""
        ask = Ask(messages, tools, tool_choice, json_output, self._parameters(extra_create_args))
        interrupt = Interrupt(cancellation_token)
        body = chat_body(ask, self._route.pool.model)
        for last in (False, True):
            answer = Answer()
            try:
                with self._record() as record:
                    stream = await interrupt.run(self._open(body, record), ReplyStream.close)
                    try:
                        interrupt.closing(stream.close)
                        while chunks := await _next(stream, interrupt):
                            for chunk in chunks:
                                text = answer.add_chunk(chunk, record.tally)
                                if text and not ask.structured:
                                    yield text
                                    interrupt.check()
                    finally:
                        interrupt.detach()
                        stream.close()
                    result = self._counted(conclude(ask, answer, record))
            except Invalid as invalid:
                body = self._again(body, answer, invalid, last=last)
                continue
            if ask.structured and isinstance(result.content, str):
                yield result.content
            yield result
            return

    async def close(self) -> None:
        """Nothing: the pool is shared and outlives this client."""

    def actual_usage(self) -> RequestUsage:
        """Tokens of the last call."""
        return self._last

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls of this client."""
        return self._total

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """A rough estimate; the exact count comes with the answer."""
        return estimate_tokens(messages)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """What is left of the context, roughly."""
        return self._route.pool.model.context_tokens - self.count_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated]
        """What AutoGen asked for before `model_info`."""
        vision = self._route.pool.model.vision
        return {"vision": vision, "function_calling": True, "json_output": True}

    @property
    def model_info(self) -> ModelInfo:
        """What agents may ask of the model."""
        return {
            "vision": self._route.pool.model.vision,
            "function_calling": True,
            "json_output": True,
            "structured_output": True,
            "family": ModelFamily.UNKNOWN,
            "multiple_system_messages": True,
        }

    def _parameters(self, extra: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**self._route.pool.model.parameters, **self._route.parameters, **(extra or {})}

    def _record(self) -> CallRecord:
        route = self._route
        record = self._telemetry.call(route.purpose, route.pool.label, self._scope, route.pool.model.price)
        record.degraded = route.degraded
        return record

    async def _job(self, body: dict[str, Any], record: CallRecord, *, stream: Usage | None) -> Job:
        pool = self._route.pool
        name = await pool.resolve(record)
        return chat_job(body, served_name=name, model=pool.model, record=record, scope=self._scope, stream=stream)

    async def _open(self, body: dict[str, Any], record: CallRecord) -> ReplyStream:
        return await self._route.pool.stream(await self._job(body, record, stream="always"))

    async def _fetch(self, body: dict[str, Any], record: CallRecord) -> dict[str, Any]:
        return await self._route.pool.fetch(await self._job(body, record, stream=None))

    def _again(self, body: dict[str, Any], answer: Answer, invalid: Invalid, *, last: bool) -> dict[str, Any]:
        if last:
            raise ModelFault(
                f"The model {self._route.pool.label!r} answered twice with something invalid: {invalid}",
                hint="Ask again, or use a more capable model for this purpose.",
            ) from invalid
        # As text, not as tool calls: servers refuse a history with arguments that are not valid JSON.
        written = answer.text or "\n".join(f"{call.name}({call.arguments})" for call in answer.calls)
        told = [
            {"role": "assistant", "content": written[:4000] or "(nothing)"},
            {"role": "user", "content": f"That could not be used. {invalid} Answer again, correctly."},
        ]
        return {**body, "messages": [*body["messages"], *told]}

    def _counted(self, result: CreateResult) -> CreateResult:
        self._last = result.usage
        self._total = RequestUsage(
            prompt_tokens=self._total.prompt_tokens + result.usage.prompt_tokens,
            completion_tokens=self._total.completion_tokens + result.usage.completion_tokens,
        )
        return result


async def _next(stream: ReplyStream, interrupt: Interrupt) -> list[dict[str, Any]]:
    try:
        return await stream.next()
    except UpstreamDown:
        interrupt.check()  # the token closed it under our hands
        raise


def _forget(_completion: dict[str, Any]) -> None:
    """A completion that came too late needs no closing: its connection is free already."""
