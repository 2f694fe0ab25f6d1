"""Earlier messages of a conversation as the roles see them: bounded, without the marks of earlier answers."""

import re
from collections.abc import Iterable, Sequence

from agents.contracts import ChatMessage
from agents.settings import AgentsSettings
from conversations.contracts import Message
from conversations.memory import extract

_MARK = re.compile(r"\[\d{1,3}\](?!\()")


def from_messages(messages: Sequence[Message], settings: AgentsSettings) -> list[dict[str, str]]:
    """From the store."""
    return _bounded(((message.role, message.text) for message in messages), settings)


def outside(messages: Sequence[Message], history: Sequence[dict[str, str]]) -> Sequence[Message]:
    """The messages before those that the history holds."""
    told = [message for message in messages if message.text.strip()]
    return told[: len(told) - len(history)]


def from_context(context: Sequence[ChatMessage], settings: AgentsSettings) -> tuple[list[dict[str, str]], str]:
    """From a client that keeps its history itself; with what is said in short of what does not fit."""
    said = [(message.role, message.content) for message in context if message.content.strip()]
    history = _bounded(said, settings)
    earlier = said[: len(said) - len(history)] if settings.summary_every else []
    spoken = [(role, text) for role, text in earlier if role in ("user", "assistant")]
    return history, extract("", spoken[-40:], max_chars=settings.summary_chars)


def _bounded(messages: Iterable[tuple[str, str]], settings: AgentsSettings) -> list[dict[str, str]]:
    """The latest messages that fit; the newest is never dropped, only shortened."""
    kept: list[dict[str, str]] = []
    room = settings.history_chars
    latest = [(role, text) for role, text in messages if text.strip()][-settings.history_messages or None :]
    for role, text in reversed(latest if settings.history_messages else []):
        plain = _MARK.sub("", text) if role == "assistant" else text
        if kept and len(plain) > room:
            break
        kept.append({"role": role, "text": plain[: max(room, 0)]})
        room -= len(plain)
    return kept[::-1]
