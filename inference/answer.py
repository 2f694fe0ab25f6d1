"""Puts one answer together, from the chunks of a stream or from a whole completion."""

from typing import Any

from autogen_core import FunctionCall

from inference.errors import ModelFault
from inference.tally import Tally


class Answer:
    """Text, thoughts and tool calls of one choice, as far as they have come."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, _Call] = {}
        self.finish_reason: str | None = None

    @property
    def text(self) -> str:
        return "".join(self._text)

    @property
    def thought(self) -> str:
        return "".join(self._thoughts)

    @property
    def calls(self) -> list[FunctionCall]:
        """The calls in the order of their index, arguments unchecked."""
        return [
            FunctionCall(id=call.id or f"call_{index}", name=call.name, arguments="".join(call.arguments))
            for index, call in sorted(self._calls.items())
        ]

    def add_chunk(self, chunk: dict[str, Any], tally: Tally) -> str:
        """Take one chunk of a stream; returns the text that it adds. Raises `ModelFault` for another shape."""
        if usage := chunk.get("usage"):
            tally.report(usage)
        try:
            choices = chunk.get("choices")
            if not choices:
                return ""
            choice = choices[0]
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            return self._take(choice.get("delta") or {}, tally)
        except (AttributeError, KeyError, TypeError) as error:
            raise _misshapen("chunk") from error

    def add_completion(self, completion: dict[str, Any], tally: Tally) -> None:
        """Take a whole completion; raises `ModelFault` for another shape."""
        tally.report(completion.get("usage"))
        try:
            choice = completion["choices"][0]
            self.finish_reason = choice.get("finish_reason")
            self._take(choice.get("message") or {}, tally)
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise _misshapen("reply") from error

    def _take(self, message: dict[str, Any], tally: Tally) -> str:
        size = 0
        # vLLM ≥ 0.12 says `reasoning`, older ones and DeepSeek's API `reasoning_content`.
        if thought := message.get("reasoning") or message.get("reasoning_content"):
            self._thoughts.append(thought)
            size += len(thought)
        for position, part in enumerate(message.get("tool_calls") or ()):
            index = part.get("index", position)
            call = self._calls.setdefault(index, _Call())
            function = part.get("function") or {}
            call.id = part.get("id") or call.id
            call.name = function.get("name") or call.name
            arguments = function.get("arguments") or ""
            call.arguments.append(arguments)
            size += len(arguments)
        text = message.get("content") or ""
        if text:
            self._text.append(text)
            size += len(text)
        if size:
            tally.saw(size)
        return text


class _Call:
    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


def _misshapen(what: str) -> ModelFault:
    return ModelFault(f"The model server sent a {what} that is not a chat completion.", hint="Is it OpenAI-compatible?")
