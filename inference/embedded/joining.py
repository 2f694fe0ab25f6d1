"""What becomes of the parts of a message once each has its specialists: who is asked what, in how many steps."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

_USES_FINDING = re.compile(
    r"\b(it|that|this|them|those|these|the (?:result|results|answer|findings?|summary|number|numbers|list|figures?"
    r"|outcome))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Route:
    """One part of the message and the specialists for it, best first; `close` may well know as much as the best."""

    task: str
    specialists: tuple[str, ...]
    is_action: bool = False
    close: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Routing:
    """The routes of a message, or the reply that needs none."""

    routes: tuple[Route, ...] = ()
    reply: str = ""
    question: str = ""
    assumptions: tuple[str, ...] = ()


def joined(routes: Sequence[Route], message: str, readers: Set[str]) -> list[Route]:
    """The routes as steps: nothing is asked twice, and who reads documents hears a question as it was asked.

    A part that was cut out of its message has often lost what it is about ("which channel gets a heads-up?").
    """
    kept = _without_doubles(routes)
    if len(kept) == 1 and not kept[0].is_action:
        return [replace(kept[0], task=message)]
    if len(kept) > 1 and not any(route.is_action for route in kept):
        for reader in sorted(readers):
            if all(reader in route.specialists for route in kept):
                others = [replace(route, specialists=_less(route, reader)) for route in kept]
                return [Route(message, (reader,)), *_neighbours([route for route in others if route.specialists])]
    return _neighbours(kept)


def uses_findings(route: Route) -> bool:
    """Whether an action speaks of something that an earlier part must find out first."""
    return route.is_action and bool(_USES_FINDING.search(route.task))


def _less(route: Route, name: str) -> tuple[str, ...]:
    return tuple(each for each in route.specialists if each != name)


def _without_doubles(routes: Sequence[Route]) -> list[Route]:
    """Who has a part of the message to itself is not asked about another's part as well, unless it is close there."""
    first = [route.specialists[0] for route in routes if not route.is_action]
    if len(set(first)) < 2:
        return list(routes)
    return [
        replace(
            route,
            specialists=(
                route.specialists[0],
                *(each for each in route.specialists[1:] if each not in first or each in route.close),
            ),
        )
        for route in routes
    ]


def _neighbours(routes: Sequence[Route]) -> list[Route]:
    """Neighbouring questions for the same specialists become one task; actions stay apart."""
    found: list[Route] = []
    for route in routes:
        last = found[-1] if found else None
        if last and not route.is_action and not last.is_action and last.specialists == route.specialists:
            found[-1] = Route(f"{last.task} {route.task}", last.specialists)
        else:
            found.append(route)
    return found
