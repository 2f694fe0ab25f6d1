"""The embedded engine behind AutoGen's client interface."""

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from inference.contracts import CallScope
from inference.embedded.beyond import calculates
from inference.embedded.compose.passages import CANNOT_CALCULATE
from inference.embedded.compose.synthesis import CITATION, synthesise
from inference.embedded.engine import EmbeddedEngine
from inference.embedded.prompt_reader import Prompt, read_prompt
from inference.embedded.schemas import Offer, offers_of
from inference.embedded.structured import dumps, fill_schema, is_plan, plan_of, verdict_of
from inference.embedded.text import sentences
from inference.embedded.tokens import count_tokens
from inference.embedded.toolchoice import Call
from runs.events import TokenUsage

ENGINE = "embedded"
CANNOT = (
    "NO_ANSWER The embedded engine answers from documents, data and tools only. Free composition, translation and "
    "reasoning over text need a language model: an administrator can connect a vLLM server (inference.base_url)."
)
_CONTEXT_TOKENS = 32_768


@dataclass(frozen=True)
class _Reply:
    content: str | list[FunctionCall]


class EmbeddedClient(ChatCompletionClient):
    """One scope's view of the engine; holds nothing but counters."""

    component_type = "model"
    component_config_schema = BaseModel

    def __init__(self, engine: EmbeddedEngine, scope: CallScope) -> None:
        self._engine = engine
        self._scope = scope
        self._total = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self._last = self._total

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """One reply. Deterministic up to the ids of tool calls."""
        schema = _schema_of(json_output, extra_create_args)
        offered = [] if tool_choice == "none" else _offered(tools, tool_choice)
        must = tool_choice == "required" or not isinstance(tool_choice, str)
        work = self._reply(messages, offered, schema, must=must)
        reply = await _cancellable(work, cancellation_token)
        usage = await _cancellable(asyncio.to_thread(_usage, messages, tools, reply.content), cancellation_token)
        self._book(usage)
        return CreateResult(
            finish_reason="stop" if isinstance(reply.content, str) else "function_calls",
            content=reply.content,
            usage=usage,
            cached=False,
        )

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The reply in pieces of about a sentence, then the result."""
        result = await self.create(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )
        if isinstance(result.content, str):
            for piece in pieces_of(result.content):
                _check(cancellation_token)
                yield piece
        yield result

    async def close(self) -> None:
        """Nothing to close: the engine is shared."""

    def actual_usage(self) -> RequestUsage:
        """Tokens of the last call."""
        return self._last

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls of this client."""
        return self._total

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Tokens of a prompt."""
        return _prompt_tokens(messages, tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """What the engine would still read."""
        return max(0, _CONTEXT_TOKENS - self.count_tokens(messages, tools=tools))

    @property
    def capabilities(self) -> ModelInfo:  # type: ignore[override]
        """Deprecated name of `model_info`."""
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        """Tools, JSON and schemas; no images."""
        return ModelInfo(
            vision=False,
            function_calling=True,
            json_output=True,
            family=ModelFamily.UNKNOWN,
            structured_output=True,
            multiple_system_messages=True,
        )

    async def _reply(
        self, messages: Sequence[LLMMessage], offers: list[Offer], schema: Mapping[str, Any] | None, *, must: bool
    ) -> _Reply:
        prompt = await asyncio.to_thread(read_prompt, messages)
        if schema is not None:
            return _Reply(dumps(await self._structured(prompt, schema)))
        if prompt.results:
            return await self._after_tools(prompt)
        if prompt.outcomes or prompt.role == "synthesiser":
            return _Reply(synthesise(prompt.outcomes))
        if offers:
            return await self._call_tools(prompt, offers, must=must)
        return _Reply(await self._direct(prompt))

    async def _structured(self, prompt: Prompt, schema: Mapping[str, Any]) -> dict[str, Any]:
        if is_plan(schema):
            if prompt.outcomes:
                return {"steps": [], "reply": ""}
            return plan_of(await self._engine.router.route(prompt))
        if prompt.role == "reviewer":
            return verdict_of(schema)
        return await asyncio.to_thread(fill_schema, schema, prompt)

    async def _after_tools(self, prompt: Prompt) -> _Reply:
        return _Reply((await self._engine.results.compose(prompt.wish, prompt.results)).text)

    async def _call_tools(self, prompt: Prompt, offers: list[Offer], *, must: bool) -> _Reply:
        found = _found(prompt)
        choice = await self._engine.tools.choose(prompt.wish, offers, prompt.now, must=must, found=found)
        if choice.calls:
            return _Reply([_function_call(call) for call in choice.calls])
        return _Reply(choice.reply or "NO_ANSWER None of the tools at hand fits this request.")

    async def _direct(self, prompt: Prompt) -> str:
        from inference.embedded.direct import passages_in
        from inference.embedded.smalltalk import small_talk

        if prompt.findings:
            return "\n\n".join(str(item.get("findings", "")) for item in prompt.findings).strip() or CANNOT
        reply = small_talk(prompt.wish, "I answer from documents, data and tools.")
        if reply:
            return reply
        question, evidence = passages_in(prompt.wish)
        if evidence.passages:
            answer = await self._engine.passages.answer(question, evidence)
            return answer.text
        return f"NO_ANSWER {CANNOT_CALCULATE}" if calculates(prompt.wish) else CANNOT

    def _book(self, usage: RequestUsage) -> None:
        self._last = usage
        self._total = RequestUsage(
            prompt_tokens=self._total.prompt_tokens + usage.prompt_tokens,
            completion_tokens=self._total.completion_tokens + usage.completion_tokens,
        )
        tokens = TokenUsage(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens, model_calls=1)
        self._scope.meter.record(tokens, engine=ENGINE, purpose=self._scope.purpose)


def _found(prompt: Prompt) -> str:
    """What earlier steps found, as a text that can be sent on: without citations, without refusals."""
    said = [str(item.get("findings") or "").strip() for item in prompt.findings]
    return "\n\n".join(CITATION.sub("", text) for text in said if text and not text.startswith("NO_ANSWER"))


def pieces_of(text: str) -> list[str]:
    """The text cut after sentences and lines; joined again it is the same text."""
    pieces: list[str] = []
    for line in text.splitlines(keepends=True):
        rest = line
        for sentence in sentences(line)[:-1]:
            at = rest.find(sentence) + len(sentence)
            while at < len(rest) and rest[at].isspace():
                at += 1
            pieces.append(rest[:at])
            rest = rest[at:]
        if rest:
            pieces.append(rest)
    return pieces


async def _cancellable(work: Coroutine[Any, Any, Any], token: CancellationToken | None) -> Any:
    _check(token, work)
    task = asyncio.ensure_future(work)
    if token is not None:
        token.link_future(task)
    return await task


def _check(token: CancellationToken | None, work: Coroutine[Any, Any, Any] | None = None) -> None:
    if token is not None and token.is_cancelled():
        if work is not None:
            work.close()
        raise asyncio.CancelledError


def _schema_of(json_output: bool | type[BaseModel] | None, extra: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if isinstance(json_output, type):
        return json_output.model_json_schema()
    wanted = extra.get("response_format")
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return wanted.model_json_schema()
    if isinstance(wanted, Mapping) and isinstance(wanted.get("json_schema"), Mapping):
        return wanted["json_schema"].get("schema") or {}
    return {"type": "object", "properties": {}} if json_output else None


def _offered(tools: Sequence[Tool | ToolSchema], tool_choice: Tool | str) -> list[Offer]:
    if not isinstance(tool_choice, str):
        return offers_of([tool_choice])
    return offers_of(tools)


def _function_call(call: Call) -> FunctionCall:
    return FunctionCall(
        id=f"call_{uuid.uuid4().hex[:24]}", name=call.tool, arguments=json.dumps(call.arguments, ensure_ascii=False)
    )


def _usage(
    messages: Sequence[LLMMessage], tools: Sequence[Tool | ToolSchema], content: str | list[FunctionCall]
) -> RequestUsage:
    said = content if isinstance(content, str) else " ".join(f"{call.name} {call.arguments}" for call in content)
    return RequestUsage(prompt_tokens=_prompt_tokens(messages, tools), completion_tokens=count_tokens(said))


def _prompt_tokens(messages: Sequence[LLMMessage], tools: Sequence[Tool | ToolSchema]) -> int:
    """Part by part: instructions, schemas and evidence come again in the next calls, and what was counted is known."""
    parts: list[str] = []
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            parts += [result.content for result in message.content]
        elif isinstance(message.content, str):
            parts.append(message.content)
        else:
            parts += [
                part if isinstance(part, str) else str(getattr(part, "arguments", "")) for part in message.content
            ]
    parts += [json.dumps(tool if isinstance(tool, Mapping) else tool.schema) for tool in tools]
    return sum(map(count_tokens, parts))
