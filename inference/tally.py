"""Counts what one reply used."""

from typing import Any, TypeGuard

from runs.events import TokenUsage


class Tally:
    """What one reply used: the server's own figures where they can be true, else our count of what came."""

    __slots__ = ("_said", "cap", "characters", "deltas", "doubtful", "prompt_estimate")

    def __init__(self, prompt_estimate: int = 0) -> None:
        self.prompt_estimate = prompt_estimate
        self.cap: int | None = None
        self.deltas = 0
        self.characters = 0
        self._said: Any = None
        self.doubtful = False

    def saw(self, size: int) -> None:
        """One streamed piece of this many characters came."""
        self.deltas += 1
        self.characters += size

    def report(self, usage: Any) -> None:
        """The server's latest figures; they are looked at in the end."""
        if usage:
            self._said = usage

    def result(self, *, complete: bool) -> TokenUsage:
        """The usage to book for one call."""
        counted = max(self.deltas, self.characters // 8)
        reported = self._reported()
        if reported is None:
            return TokenUsage(prompt_tokens=self.prompt_estimate, completion_tokens=counted, model_calls=1)
        prompt, completion, cached = reported
        # A token is at most a few dozen bytes: far fewer tokens than that cannot have produced the text.
        if completion * 64 < self.characters or (complete and self.deltas and not completion):
            self.doubtful = True
            completion = counted
        elif self.cap and completion > self.cap:
            self.doubtful = True
            completion = self.cap
        elif not complete:
            completion = max(completion, self.deltas)
        return TokenUsage(prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached, model_calls=1)

    def _reported(self) -> tuple[int, int, int] | None:
        usage = self._said
        if not isinstance(usage, dict):
            return None
        details: Any = usage.get("prompt_tokens_details")
        cached = (details.get("cached_tokens") if isinstance(details, dict) else 0) or 0
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
        if not (_figure(prompt) and _figure(completion) and _figure(cached)):
            self.doubtful = True
            return None
        return prompt, completion, min(cached, prompt)


def _figure(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 100_000_000
