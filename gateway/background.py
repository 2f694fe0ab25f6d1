"""Requests that no person waits for: the lines of batches. Only code of ours can mark one, never a header."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

_KEY = "background"


@dataclass(frozen=True)
class Background:
    """How far its model calls stand back behind those of people."""

    priority: int


def mark(state: dict[str, object], background: Background) -> None:
    """Put the mark into a request's state."""
    state[_KEY] = background


def background_of(connection: HTTPConnection) -> Background | None:
    """The mark of a request; None for those of people."""
    return connection.scope["state"].get(_KEY)
