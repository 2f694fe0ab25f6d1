"""Values that have a shape: quotes, ids, addresses, links, names of people and places."""

import re
from collections.abc import Iterator

from inference.embedded.vocabulary import listed

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
URL = re.compile(r"https?://[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]")
IDENTIFIER = re.compile(
    r"\b[A-Za-z]{1,6}[-_/#]?\d[\w-]*\b|#\d+\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b\d{4,}\b"
)
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|‘([^’]{2,})’|(?<![\w])'([^']{2,})'(?![\w])|`([^`]+)`|«\s*([^»]+?)\s*»")
_NAME = re.compile(
    r"(?<![.!?]\s)(?<!^)\b(?!I\b|I')[A-ZÀ-Þ][\w'’-]+(?:\s+(?:de|van|von|der|da|of)?\s*[A-ZÀ-Þ][\w'’-]+)*"
)
_OWNER = re.compile(r"^[A-ZÀ-Þ][\w-]+(?: [A-ZÀ-Þ][\w-]+)+(?=['’]s\b)")
_NOT_NAMES = frozenset(
    listed(
        """monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december q1 q2 q3 q4 i please also then"""
    )
)


def quoted(text: str) -> list[tuple[str, tuple[int, int]]]:
    """Everything between quotation marks, in order, with its place."""
    return [(next(group for group in match.groups() if group), match.span()) for match in _QUOTED.finditer(text)]


def matching(pattern: str, text: str) -> Iterator[str]:
    """Pieces of the text that a JSON-schema pattern accepts: tokens, then runs of two to four words."""
    try:
        wanted = re.compile(pattern)
    except re.error:
        return
    tokens = [match.group().strip(".,;:!?()[]\"'“”") for match in re.finditer(r"\S+", text)]
    for size in range(1, 5):
        for at in range(len(tokens) - size + 1):
            piece = " ".join(tokens[at : at + size])
            for candidate in (piece, piece.upper(), piece.lstrip("#")):
                if candidate and _anchored(wanted, pattern, candidate):
                    yield candidate
                    break


def names(text: str) -> list[tuple[str, tuple[int, int]]]:
    """Capitalised names that do not merely begin a sentence, with their places."""
    owner = _OWNER.match(text)
    found = [(owner.group(), owner.span())] if owner else []
    for match in _NAME.finditer(text, owner.end() if owner else 0):
        if match.group().split()[0].lower() not in _NOT_NAMES:
            found.append((match.group().removesuffix("'s").removesuffix("’s"), match.span()))
    return found


def after(words: str, text: str) -> str | None:
    """The name, address or single word that stands right after one of the words ("to", "for|assigned to")."""
    match = re.search(
        rf"\b(?:{words})\s+(?:the\s+)?(?P<value>[\w.+-]+@[\w.-]+\w|[A-ZÀ-Þ][\w'’-]*(?:\s+[A-ZÀ-Þ][\w'’-]+)*"
        rf"|@?[a-z][\w-]+)",
        text,
    )
    return match["value"].removesuffix("'s") if match else None


def _anchored(wanted: re.Pattern[str], pattern: str, candidate: str) -> bool:
    return bool(wanted.search(candidate) if pattern.startswith("^") else wanted.fullmatch(candidate))
