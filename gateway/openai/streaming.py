"""A run as server-sent events in OpenAI's chunks: what is there at once goes out in one write."""

import time
from collections.abc import Sequence
from typing import Any

import orjson

from gateway.errors import fault_of_run
from gateway.openai.models import cancelled_extension, extension_of, usage_of
from runs.events import AnswerSegment, RunCancelled, RunEvent, RunFailed, RunFinished, RunStarted, TokenUsage

KEEPALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


class ChunkWriter:
    """Turns the events of one run into the bytes of one stream."""

    def __init__(self, *, run_id: str, model: str, include_usage: bool, events: bool) -> None:
        self._include_usage = include_usage
        self._events = events
        self._sent = ""
        self._conversation_id = ""
        self._head: dict[str, Any] = {
            "id": completion_id(run_id),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": None,
        }

    def begin(self) -> bytes:
        """The chunk that names the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def write(self, batch: Sequence[RunEvent]) -> bytes:
        """The bytes for these events; a comment when there are none."""
        if not batch:
            return KEEPALIVE
        return b"".join(self._of(event) for event in batch)

    def _of(self, event: RunEvent) -> bytes:
        if isinstance(event, RunStarted):
            self._conversation_id = event.conversation_id
        match event:
            case AnswerSegment():
                self._sent += event.text
                return self._chunk({"content": event.text})
            case RunFinished():
                return self._finish(event)
            case RunCancelled():
                return (
                    self._chunk({}, finish="stop", signalbox=cancelled_extension(event, self._conversation_id))
                    + self._usage(TokenUsage())
                    + DONE
                )
            case RunFailed():
                return _data(fault_of_run(event).body() | {"signalbox": {"run_id": event.run_id}})
            case _ if self._events:
                return self._chunk({}, signalbox={"event": event.model_dump(mode="json")})
            case _:
                return b""

    def _finish(self, event: RunFinished) -> bytes:
        result = event.result
        rest = result.text.removeprefix(self._sent) if result.text.startswith(self._sent) else ""
        return b"".join(
            (
                self._chunk({"content": rest}) if rest else b"",
                self._chunk({}, finish=result.finish_reason, signalbox=extension_of(result)),
                self._usage(result.usage),
                DONE,
            )
        )

    def _chunk(self, delta: dict[str, Any], *, finish: str | None = None, signalbox: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._head, "choices": [choice]}
        if self._include_usage:
            chunk["usage"] = None
        if signalbox is not None:
            chunk["signalbox"] = signalbox
        return _data(chunk)

    def _usage(self, usage: TokenUsage) -> bytes:
        if not self._include_usage:
            return b""
        return _data({**self._head, "choices": [], "usage": usage_of(usage)})


def completion_id(run_id: str) -> str:
    """The id of the answer, as OpenAI shapes them."""
    return f"chatcmpl-{run_id.removeprefix('run_')}"


def _data(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
