"""Reads a call: the tagged sections of docs/contracts.md, the tools, and what the tools said."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

_SECTIONS = ("now", "summary", "history", "question", "specialists", "task", "findings", "outcomes", "role")
_SECTION = re.compile(rf"<({'|'.join(_SECTIONS)})>\s*(.*?)\s*</\1>", re.DOTALL)
_SPEAKER = re.compile(r"^\s*[*_-]*\s*(user|assistant|human|ai)\s*[*_]*\s*:\s*", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Turn:
    """One earlier message."""

    role: str
    text: str


@dataclass(frozen=True)
class ToolResult:
    """What one tool call came back with; `data` is its structured content where it is a JSON object."""

    tool: str
    arguments: Mapping[str, Any]
    text: str
    is_error: bool
    data: Mapping[str, Any] | None


@dataclass(frozen=True)
class Prompt:
    """One call as the engine sees it."""

    role: str = ""
    now: date = field(default_factory=lambda: datetime.now(UTC).date())
    question: str = ""
    task: str = ""
    history: tuple[Turn, ...] = ()
    specialists: tuple[Mapping[str, Any], ...] = ()
    findings: tuple[Mapping[str, Any], ...] = ()
    outcomes: tuple[Mapping[str, Any], ...] = ()
    results: tuple[ToolResult, ...] = ()
    loose: str = ""

    @property
    def wish(self) -> str:
        """What this call should do: the step's task, else the user's question, else the untagged message."""
        return self.task or self.question or self.loose


def read_prompt(messages: Sequence[LLMMessage]) -> Prompt:
    """Everything that the messages hold. Sections that are missing or malformed are empty, never an error."""
    sections: dict[str, str] = {}
    loose: list[Turn] = []
    for message in messages:
        if isinstance(message, SystemMessage | UserMessage):
            text = _text_of(message)
            found = dict(_SECTION.findall(text))
            sections.update(found)
            if isinstance(message, UserMessage) and not found:
                loose.append(Turn("user", text.strip()))
        elif isinstance(message, AssistantMessage) and isinstance(message.content, str):
            loose.append(Turn("assistant", message.content))
    results = _results(messages)
    asked = [turn.text for turn in loose if turn.role == "user"]
    return Prompt(
        role=_plain(sections.get("role", "")).lower(),
        now=_date(sections.get("now", "")),
        question=_plain(sections.get("question", "")),
        task=_plain(sections.get("task", "")),
        history=_history(sections["history"]) if "history" in sections else tuple(loose[:-1]),
        specialists=_objects(sections.get("specialists", "")),
        findings=_objects(sections.get("findings", "")),
        outcomes=_objects(sections.get("outcomes", "")),
        results=results,
        loose="" if "question" in sections or not asked else asked[-1],
    )


def parse_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in `text`, whatever stands around it; None where there is none."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def reference_of(text: str) -> str:
    """The handle under which a result without evidence is cited (docs/contracts.md, Evidence)."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _text_of(message: SystemMessage | UserMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part for part in message.content if isinstance(part, str))


def _unescape(text: str) -> str:
    """Undoes the one thing that is escaped in sections: the `<` that would begin a tag."""
    return text.replace("&lt;", "<")


def _plain(text: str) -> str:
    return _unescape(text).strip()


def _date(text: str) -> date:
    match = re.search(r"\d{4}-\d{2}-\d{2}", text)
    try:
        return date.fromisoformat(match.group()) if match else datetime.now(UTC).date()
    except ValueError:
        return datetime.now(UTC).date()


def _json(text: str) -> Any:
    for candidate in (text, _unescape(text)):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    return None


def _objects(text: str) -> tuple[Mapping[str, Any], ...]:
    value = _json(text) if text.strip() else None
    if isinstance(value, dict):
        value = [value]
    return tuple(_unescaped(item) for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _unescaped(value: Any) -> Any:
    if isinstance(value, str):
        return _unescape(value)
    if isinstance(value, dict):
        return {key: _unescaped(item) for key, item in value.items()}
    return [_unescaped(item) for item in value] if isinstance(value, list) else value


def _history(text: str) -> tuple[Turn, ...]:
    value = _json(text) if text.strip() else None
    if isinstance(value, list):
        turns = [item for item in value if isinstance(item, dict)]
        return tuple(Turn(str(item.get("role", "user")), _plain(_said(item))) for item in turns)
    pieces = _SPEAKER.split(_plain(text))
    speakers = ["assistant" if speaker.lower() in ("assistant", "ai") else "user" for speaker in pieces[1::2]]
    return tuple(Turn(role, said.strip()) for role, said in zip(speakers, pieces[2::2], strict=True))


def _said(item: Mapping[str, Any]) -> str:
    return str(item.get("text") or item.get("content") or "")


def _results(messages: Sequence[LLMMessage]) -> tuple[ToolResult, ...]:
    """Results since the last thing a user said, with the arguments of the calls that they answer."""
    calls: dict[str, FunctionCall] = {}
    results: list[ToolResult] = []
    for message in messages:
        if isinstance(message, AssistantMessage) and isinstance(message.content, list):
            calls.update({call.id: call for call in message.content})
        elif isinstance(message, FunctionExecutionResultMessage):
            for result in message.content:
                call = calls.get(result.call_id)
                arguments = parse_object(call.arguments) if call else None
                data = parse_object(result.content)
                results.append(ToolResult(result.name, arguments or {}, result.content, bool(result.is_error), data))
    return tuple(results)
