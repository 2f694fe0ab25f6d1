"""A load over the OpenAI API with nothing of ours in between: the yardstick."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from inference.vllm.load import LoadShape, percentile


@dataclass(frozen=True)
class Target:
    """Where the load goes."""

    base_url: str
    model: str
    key: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What came of it."""

    seconds: float = 0
    done: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    first_text_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """For the table and the JSON."""
        return {
            "requests": self.done,
            "failed": len(self.errors),
            "seconds": round(self.seconds, 2),
            "requests_per_s": round(self.done / self.seconds, 2),
            "output_tokens": self.output_tokens,
            "output_tokens_per_s": round(self.output_tokens / self.seconds, 1),
            "total_tokens_per_s": round((self.output_tokens + self.prompt_tokens) / self.seconds, 1),
            "first_text_p50_ms": percentile(self.first_text_ms, 50),
            "first_text_p95_ms": percentile(self.first_text_ms, 95),
            "errors": sorted(set(self.errors))[:3],
        }


async def load(target: Target, shape: LoadShape, *, first: int = 0) -> Outcome:
    """Send the requests from number `first` on: other numbers are other prompts behind the same first words."""
    outcome = Outcome()
    numbers = iter(range(first, first + shape.requests))
    headers = {"Authorization": f"Bearer {target.key}"} if target.key else {}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=540)
    async with aiohttp.ClientSession(target.base_url, headers=headers, connector=connector, timeout=timeout) as http:

        async def worker() -> None:
            for number in numbers:
                await _one(http, target, shape.prompt(number), outcome)

        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(shape.concurrency, shape.requests)):
                group.create_task(worker())
        outcome.seconds = time.monotonic() - started
    return outcome


async def _one(http: aiohttp.ClientSession, target: Target, prompt: str, outcome: Outcome) -> None:
    body = {
        "model": target.model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": prompt}],
        **target.parameters,
    }
    started = time.monotonic()
    first: float | None = None
    usage: dict[str, Any] = {}
    try:
        async with http.post("/v1/chat/completions", json=body) as response:
            if response.status != 200:
                outcome.errors.append(f"{response.status}: {(await response.text())[:200]}")
                return
            async for line in response.content:
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line[6:])
                usage = chunk.get("usage") or usage
                if first is None and any(choice["delta"].get("content") for choice in chunk.get("choices", [])):
                    first = time.monotonic()
    except (aiohttp.ClientError, TimeoutError) as error:
        outcome.errors.append(f"{type(error).__name__}: {error}")
        return
    outcome.done += 1
    outcome.first_text_ms.append(((first or time.monotonic()) - started) * 1000)
    outcome.prompt_tokens += usage.get("prompt_tokens", 0)
    outcome.output_tokens += usage.get("completion_tokens", 0)
