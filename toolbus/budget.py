"""What a run may still spend, as a tree: a child never has more than its parent, and what it spends is the parent's."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Resource = Literal["tool calls", "tokens", "money", "time"]


@dataclass
class Budget:
    """What a run, or a part of it, may still spend.

    `deadline` is a point of `time.monotonic()`; `money` is in the currency of the prices in the settings. Tool calls
    are reserved before they are made. What a model call costs is known when it has ended: the last one may overdraw.
    """

    tool_calls: int
    tokens: int
    deadline: float
    parent: "Budget | None" = None
    money: float = math.inf
    refused: set[Resource] = field(default_factory=set)
    """What was asked of this budget in vain: what it paid for is less than was wanted."""

    def child(self, *, tool_calls: int, tokens: int, money: float = math.inf, within_s: float = math.inf) -> "Budget":
        """A part of this budget: so much of it, and no more than what is left."""
        return Budget(
            tool_calls=min([tool_calls, *(budget.tool_calls for budget in self._chain())]),
            tokens=min([tokens, *(budget.tokens for budget in self._chain())]),
            money=min([money, *(budget.money for budget in self._chain())]),
            deadline=min([time.monotonic() + within_s, *(budget.deadline for budget in self._chain())]),
            parent=self,
        )

    def take_tool_call(self) -> bool:
        """Reserve one call here and in every ancestor; False, with nothing reserved, when any is empty."""
        if any(budget.tool_calls <= 0 for budget in self._chain()):
            self.refused.add("tool calls")
            return False
        for budget in self._chain():
            budget.tool_calls -= 1
        return True

    def charge(self, tokens: int, money: float = 0.0) -> None:
        """Book what a model call used, here and in every ancestor."""
        for budget in self._chain():
            budget.tokens -= tokens
            budget.money -= money

    def spent(self) -> Resource | None:
        """What there is nothing left of, here or in an ancestor, for another model call; noted as refused."""
        for budget in self._chain():
            found = budget._empty()
            if found is not None:
                self.refused.add(found)
                return found
        return None

    def left_s(self) -> float:
        """Seconds until the earliest deadline; never negative."""
        return max(0.0, min(budget.deadline for budget in self._chain()) - time.monotonic())

    def _empty(self) -> Resource | None:
        if self.tokens <= 0:
            return "tokens"
        if self.money <= 0:
            return "money"
        return "time" if self.deadline <= time.monotonic() else None

    def _chain(self) -> "Iterator[Budget]":
        budget: Budget | None = self
        while budget is not None:
            yield budget
            budget = budget.parent
