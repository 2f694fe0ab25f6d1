"""A measured load on a model: how fast the first token comes, how many tokens a second, how much the cache saves."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, UserMessage

from signalbox.errors import SignalboxError

_WORDS = [
    "crane",
    "ledger",
    "harbour",
    "motor",
    "willow",
    "seven",
    "paper",
    "winter",
    "signal",
    "copper",
    "garden",
    "bridge",
]


@dataclass(frozen=True)
class LoadShape:
    """What is asked: prompts of which the first words are the same in every request."""

    requests: int = 32
    concurrency: int = 8
    prompt_words: int = 400
    shared_words: int = 300
    output_tokens: int = 128

    def prompt(self, number: int) -> str:
        """The prompt of one request; the same number gives the same prompt."""
        shared = random.Random(0).choices(_WORDS, k=self.shared_words)  # noqa: S311 # words, not secrets
        own = random.Random(number + 1).choices(_WORDS, k=max(1, self.prompt_words - self.shared_words))  # noqa: S311
        return " ".join([*shared, f"Request {number}.", *own])


@dataclass(frozen=True)
class LoadReport:
    """What came of it."""

    requests: int
    failed: int
    concurrency: int
    seconds: float
    prompt_tokens: int
    output_tokens: int
    requests_per_s: float
    output_tokens_per_s: float
    first_token_p50_ms: float | None
    first_token_p95_ms: float | None
    duration_p50_ms: float | None
    duration_p95_ms: float | None
    errors: tuple[str, ...] = ()


@dataclass
class _Seen:
    first_token_ms: list[float] = field(default_factory=list)
    duration_ms: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    output_tokens: int = 0
    errors: list[str] = field(default_factory=list)


async def run_load(
    client: Callable[[int], ChatCompletionClient],
    shape: LoadShape,
    *,
    parameters: Mapping[str, Any],
    on_done: Callable[[], None] = lambda: None,
) -> LoadReport:
    """Send the load; a request that fails is counted and does not stop the others.

    client: a client for request number n. parameters: sent with each, for instance `max_tokens`.
    """
    seen = _Seen()
    numbers = iter(range(shape.requests))

    async def worker() -> None:
        for number in numbers:  # shared: each number is taken once
            await _one(client(number), shape.prompt(number), parameters, seen)
            on_done()

    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(min(shape.concurrency, shape.requests)):
            group.create_task(worker())
    return _report(shape, seen, time.monotonic() - started)


async def _one(client: ChatCompletionClient, prompt: str, parameters: Mapping[str, Any], seen: _Seen) -> None:
    started = time.monotonic()
    first: float | None = None
    try:
        messages = [UserMessage(content=prompt, source="user")]
        async for piece in client.create_stream(messages, extra_create_args=parameters):
            if first is None and isinstance(piece, str):
                first = time.monotonic()
            if isinstance(piece, CreateResult):
                seen.prompt_tokens += piece.usage.prompt_tokens
                seen.output_tokens += piece.usage.completion_tokens
    except SignalboxError as error:
        seen.errors.append(error.message)
        return
    ended = time.monotonic()
    seen.first_token_ms.append(((first or ended) - started) * 1000)
    seen.duration_ms.append((ended - started) * 1000)


def _report(shape: LoadShape, seen: _Seen, seconds: float) -> LoadReport:
    done = len(seen.duration_ms)
    return LoadReport(
        requests=done,
        failed=len(seen.errors),
        concurrency=shape.concurrency,
        seconds=round(seconds, 3),
        prompt_tokens=seen.prompt_tokens,
        output_tokens=seen.output_tokens,
        requests_per_s=round(done / seconds, 2),
        output_tokens_per_s=round(seen.output_tokens / seconds, 1),
        first_token_p50_ms=percentile(seen.first_token_ms, 50),
        first_token_p95_ms=percentile(seen.first_token_ms, 95),
        duration_p50_ms=percentile(seen.duration_ms, 50),
        duration_p95_ms=percentile(seen.duration_ms, 95),
        errors=tuple(sorted(set(seen.errors)))[:3],
    )


def percentile(values: list[float], percent: int) -> float | None:
    """The nearest-rank percentile, to a tenth; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 1)
