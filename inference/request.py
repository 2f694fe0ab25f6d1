"""Builds the body of one chat request for one model and purpose."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson
from autogen_core.models import LLMMessage
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from inference.backends.job import Job
from inference.contracts import CallScope
from inference.messages import to_openai
from inference.schemas import tool_schemas, wire_format, wire_tool
from inference.settings import RESERVED, ModelSettings
from inference.telemetry import CallRecord
from signalbox.errors import Bug

CHAT_PATH = "/v1/chat/completions"
Usage = Literal["last", "always"]
"""Figures with the last chunk, or with every chunk: then a stream that is stopped is booked exactly."""

ToolChoice = Tool | Literal["auto", "required", "none"]
_BATCH_PRIORITY = 10


@dataclass(frozen=True)
class Ask:
    """One request as an agent made it."""

    messages: Sequence[LLMMessage]
    tools: Sequence[Tool | ToolSchema]
    tool_choice: ToolChoice
    json_output: bool | type[BaseModel] | None
    extra: Mapping[str, Any]

    @property
    def structured(self) -> bool:
        """Whether the answer must be JSON."""
        return bool(self.json_output)

    @property
    def must_call(self) -> bool:
        """Whether an answer without a tool call is wrong."""
        return bool(self.tools) and self.tool_choice not in ("auto", "none")

    def schemas(self) -> dict[str, ToolSchema]:
        """The schemas of the tools by name."""
        return {schema["name"]: schema for schema in tool_schemas(self.tools)}


def chat_body(ask: Ask, model: ModelSettings) -> dict[str, Any]:
    """The body without what depends on the scope; the model's name is set when it is known."""
    if forbidden := RESERVED & ask.extra.keys():
        raise Bug(f"extra_create_args may not set {sorted(forbidden)}.")
    vllm = model.dialect == "vllm"
    loose = vllm and model.grammar == "xgrammar"
    body: dict[str, Any] = {"messages": to_openai(ask.messages, reasoning=vllm)}
    if ask.tools:
        body["tools"] = [wire_tool(schema, loose_strings=loose, lenient=vllm) for schema in tool_schemas(ask.tools)]
        body["tool_choice"] = _choice(ask.tool_choice)
    if isinstance(ask.json_output, type):
        body["response_format"] = wire_format(ask.json_output, loose_strings=loose, lenient=vllm)
    elif ask.json_output:
        body["response_format"] = {"type": "json_object"}
    body.update(ask.extra)
    return body


def _choice(choice: ToolChoice) -> Any:
    if isinstance(choice, str):
        return choice
    return {"type": "function", "function": {"name": choice.name}}


def chat_job(
    body: dict[str, Any],
    *,
    served_name: str,
    model: ModelSettings,
    record: CallRecord,
    scope: CallScope,
    stream: Usage | None,
) -> Job:
    """The body as it is sent, for whom and in which place of the queue. stream: whether, and how usage comes."""
    priority = body.get("priority", scope.priority)
    if record.purpose == "batch":
        priority = max(priority, _BATCH_PRIORITY)
    sent = {**body, "model": served_name}
    if stream:
        sent["stream"] = True
        sent["stream_options"] = {"include_usage": True}
        if stream == "always" and model.dialect == "vllm":
            sent["stream_options"]["continuous_usage_stats"] = True
    if model.dialect == "vllm":
        sent["priority"] = priority
        sent["cache_salt"] = cache_salt(scope.tenant)
    else:
        sent.pop("priority", None)
        sent.pop("chat_template_kwargs", None)
    record.tally.cap = sent.get("max_completion_tokens") or sent.get("max_tokens")
    job = Job(CHAT_PATH, orjson.dumps(sent), scope, priority, record)
    job.headers = headers_for(scope, record)
    return job


def headers_for(scope: CallScope, record: CallRecord) -> dict[str, str]:
    """What routers and servers read: an opaque session for affinity, and the trace."""
    headers = record.trace_headers()
    headers["X-Session-ID"] = _session(scope.tenant, scope.conversation_id)
    return headers


@lru_cache(maxsize=4096)
def _session(tenant: str, conversation_id: str) -> str:
    return hashlib.sha256(f"{tenant}\x1f{conversation_id}".encode()).hexdigest()[:32]


@lru_cache(maxsize=4096)
def cache_salt(tenant: str) -> str:
    """Keeps one tenant's prefix cache apart from another's, so that timing tells nothing across tenants."""
    return hashlib.sha256(f"signalbox-cache\x1f{tenant}".encode()).hexdigest()[:32]
