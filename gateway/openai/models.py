"""What OpenAI clients send and get, reduced to what we honour; unknown fields are tolerated as OpenAI does."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from agents.contracts import ChatMessage
from agents.direct_calls import DirectReply
from runs.events import RunCancelled, RunResult, TokenUsage

ASSISTANT = "signalbox"
"""The model that is the whole assistant; every other name is a bare model."""


def _text_of(content: Any) -> Any:
    """Content parts as one text; other parts are refused by name. No database keeps NUL, so it becomes U+FFFD."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content.replace("\x00", "\ufffd")
    if not isinstance(content, list):
        return content
    texts: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in ("text", "input_text", "refusal"):
            raise ValueError(f"content parts of type {kind!r} are not supported; send text")
        text = part.get("text", part.get("refusal"))
        if not isinstance(text, str):
            raise ValueError(f"a content part of type {kind!r} needs a string 'text'")  # noqa: TRY004 - for Pydantic
        texts.append(text)
    return "\n".join(texts).replace("\x00", "\ufffd")


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class WireMessage(_Wire):
    """One message of a request."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[str, BeforeValidator(_text_of)] = ""
    tool_calls: tuple[dict[str, Any], ...] | None = None
    tool_call_id: str | None = None

    def reduced(self) -> ChatMessage:
        """The message as the layers below take it."""
        role = {"developer": "system", "function": "tool"}.get(self.role, self.role)
        return ChatMessage.model_validate(
            {
                "role": role,
                "content": self.content,
                "tool_calls": self.tool_calls or (),
                "tool_call_id": self.tool_call_id or "",
            }
        )


class StreamOptions(_Wire):
    """`include_usage` asks for a last chunk with the usage."""

    include_usage: bool = False


class ResponseFormat(_Wire):
    """Only text is offered."""

    type: str = "text"


class Extension(_Wire):
    """Our own object in a request: `signalbox: {conversation_id, events}`."""

    conversation_id: str | None = None
    events: bool = False


class DirectRequest(_Wire):
    """`POST /v1/chat/completions` for a bare model: what concerns us; the rest is the model's."""

    model: str = Field(max_length=200)
    messages: tuple[dict[str, Any], ...] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    prompt_cache_key: str | None = Field(default=None, max_length=200)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)


class ChatRequest(_Wire):
    """`POST /v1/chat/completions` for a turn of the assistant, or of a bare model in a conversation."""

    model: str
    messages: tuple[WireMessage, ...] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    user: str | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    response_format: ResponseFormat | None = None
    tool_choice: str | dict[str, Any] | None = None
    signalbox: Extension | None = None

    @field_validator("n")
    @classmethod
    def _one_choice(cls, n: int | None) -> int | None:
        if n not in (None, 1):
            raise ValueError("only one choice is supported")
        return n

    @field_validator("response_format")
    @classmethod
    def _text_only(cls, asked: ResponseFormat | None) -> ResponseFormat | None:
        if asked is not None and asked.type != "text":
            raise ValueError(f"{asked.type!r} is not supported; answers are text")
        return asked

    @field_validator("tool_choice")
    @classmethod
    def _no_forced_tools(cls, choice: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
        if choice not in (None, "auto", "none"):
            raise ValueError("tools of the caller are never called; leave it out")
        return choice


def usage_of(usage: TokenUsage) -> dict[str, Any]:
    """The usage object."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def extension_of(result: RunResult) -> dict[str, Any]:
    """The object `signalbox` on an answer: everything that it rests on."""
    return result.model_dump(mode="json", exclude={"text", "usage", "finish_reason"}) | {
        "model_calls": result.usage.model_calls
    }


def cancelled_extension(event: RunCancelled, conversation_id: str) -> dict[str, Any]:
    """The object `signalbox` on what was released of a stopped answer."""
    stopped = RunResult(run_id=event.run_id, conversation_id=conversation_id, text="", engine="", cancelled=True)
    return extension_of(stopped) | {"reason": event.reason}


def direct_extension(run_id: str, reply: DirectReply, *, cancelled: str | None = None) -> dict[str, Any]:
    """The object `signalbox` on the answer of a bare model: the same fields, and what the reviewer did."""
    meter = reply.meter
    told: dict[str, Any] = {
        "run_id": run_id,
        "conversation_id": "",
        "engine": reply.engine,
        "declined": False,
        "degraded": meter.degraded,
        "steps": [],
        "sources": [],
        "approvals": [],
        "cost": meter.cost,
        "purposes": {name: used.model_dump() for name, used in meter.purposes.items()},
        "cancelled": cancelled is not None,
        "release": reply.release,
        "model_calls": meter.usage.model_calls,
        "review": {"verdict": reply.verdict, "reasons": reply.reasons},
    }
    return told if cancelled is None else told | {"reason": cancelled}


def model_object(name: str) -> dict[str, Any]:
    """One entry of `GET /v1/models`."""
    return {"id": name, "object": "model", "created": 1_764_000_000, "owned_by": "signalbox"}


def last_user_message(messages: Sequence[WireMessage]) -> int | None:
    """Where the question stands."""
    return next((i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "user"), None)
