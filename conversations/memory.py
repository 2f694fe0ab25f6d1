"""What is remembered of a conversation beyond its latest messages, in a few lines that roll along with it."""

import re
from collections.abc import Iterable, Sequence

from conversations.contracts import Message, Summary

_ASKED_CHARS = 180
_SAID_CHARS = 240
_MARK = re.compile(r"\s*\[\d{1,3}\](?!\()")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def extract(earlier: str, messages: Iterable[tuple[str, str]], *, max_chars: int) -> str:
    """The lines of `earlier`, then one for each message: what was asked, how the answer begins. The oldest go first."""
    lines = [line for line in earlier.splitlines() if line.strip()]
    lines += [line for role, text in messages if (line := _line(role, text))]
    while len(lines) > 1 and sum(map(len, lines)) + len(lines) > max_chars:
        del lines[0]
    return "\n".join(lines)[:max_chars]


def is_tainted(earlier: Summary, messages: Sequence[Message]) -> bool:
    """Whether something in it came from documents or tools: such text is material, never a reason to act."""
    return earlier.tainted or any(message.result is not None and message.result.sources for message in messages)


def _line(role: str, text: str) -> str:
    plain = " ".join(_MARK.sub("", text).split())
    if not plain:
        return ""
    if role == "user":
        return f"Asked: {_clipped(plain, _ASKED_CHARS)}"
    said, rest = "", _SENTENCE.split(plain)
    for sentence in rest:
        if said and len(said) + len(sentence) > _SAID_CHARS:
            break
        said = f"{said} {sentence}".strip()
    return f"Answered: {_clipped(said, _SAID_CHARS)}"


def _clipped(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1].rsplit(" ", 1)[0] + "…"
