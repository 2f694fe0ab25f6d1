"""People who ask, read, think and ask again: what each waits for, by a clock of their own."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.system import Running
from inference.vllm.load import percentile

_PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Crowd:
    """How many, and how fast they ask: each thinks for a random time up to `think_s` after every answer."""

    users: int
    think_s: float
    output_tokens: int

    def body(self, number: int) -> dict[str, Any]:
        """One request; the prompt differs from every other."""
        words = " ".join(random.Random(number).choices(("harbour", "crane", "ledger", "motor", "winter"), k=60))
        return {
            "model": "direct",
            "max_tokens": self.output_tokens,
            "messages": [{"role": "user", "content": f"Question {number}: {words}?"}],
        }


@dataclass
class Waits:
    """What people waited, in milliseconds."""

    ms: list[float] = field(default_factory=list)
    refused: int = 0

    def figures(self) -> dict[str, Any]:
        """For the table."""
        return {
            "requests": len(self.ms),
            "refused": self.refused,
            "p50_ms": percentile(self.ms, 50),
            "p95_ms": percentile(self.ms, 95),
        }


async def ask_for(system: Running, crowd: Crowd, seconds: float, *, first: int) -> Waits:
    """All of them at work for so long; what is under way at the end is waited for and counts."""
    waits = Waits()
    until = time.perf_counter() + seconds
    headers = {"Authorization": f"Bearer {system.key}"}
    connector = aiohttp.TCPConnector(limit=0)
    session = aiohttp.ClientSession(system.url, headers=headers, connector=connector)
    async with session as http, asyncio.TaskGroup() as group:
        for user in range(crowd.users):
            group.create_task(_person(http, crowd, until, waits, first + user * 1_000_000))
    return waits


async def _person(http: aiohttp.ClientSession, crowd: Crowd, until: float, waits: Waits, number: int) -> None:
    thinking = random.Random(number)
    while True:
        await asyncio.sleep(thinking.uniform(0, crowd.think_s))
        if time.perf_counter() >= until:
            return
        number += 1
        asked = time.perf_counter()
        async with http.post(_PATH, json=crowd.body(number)) as response:
            await response.read()
            if response.status == 200:
                waits.ms.append((time.perf_counter() - asked) * 1000)
            else:
                waits.refused += 1
