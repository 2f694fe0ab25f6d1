"""What a check may say about a piece of text."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from inference.contracts import CallScope

Action = Literal["release", "mask", "withhold"]


@dataclass(frozen=True)
class Verdict:
    """`text` is what may leave: the piece itself, the piece with something replaced, or nothing."""

    action: Action
    text: str
    reason: str = ""


@dataclass(frozen=True)
class Surroundings:
    """What a check may know besides the piece: what came before it, which links the run's sources justify, and in
    whose name a judge that is a model makes its calls, so that the run pays for them.
    """

    before: str = ""
    links_to: Callable[[str], bool] = lambda _url: False
    calls: CallScope | None = None


class Check(Protocol):
    """A deterministic look at one piece of text."""

    def __call__(self, text: str, around: Surroundings) -> Verdict: ...


class Judge(Protocol):
    """A model's opinion; it can only tighten what the deterministic checks decided."""

    async def judge(self, text: str, around: Surroundings) -> Verdict:
        """Anything but `release` holds; raising or being late counts as `withhold`."""
        ...


def masked(before: str, after: str, reason: str) -> Verdict:
    """`release` where nothing was replaced, `mask` otherwise."""
    return Verdict("release", before) if before == after else Verdict("mask", after, reason)
