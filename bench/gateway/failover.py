"""One of two model servers is killed under 64 streams: who notices, and what do they see?

    python -m bench.gateway.failover [--rounds 5] [--streams 64]

The whole system as `signalbox up` serves it, two model servers as processes, SIGKILL to one of them. Half of the
streams are in the middle of their answers then, the other half still wait for their first word.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvloop

from bench.gateway.load import quantile
from bench.gateway.processes import Started, start, wait_until
from bench.gateway.targets import Place, Target, answers, signalbox
from bench.gateway.upstream import MODEL, TOKENS

_DELAY_MS = 1000
_KILL_AFTER_S = 0.5
_LONGEST_S = 20


@dataclass
class Seen:
    """How one stream went for its reader."""

    waiting: bool
    """Whether it had no word yet when the server was killed."""
    end: str = "hung"
    words: int = 0
    first_s: float = 0.0


@dataclass
class Figures:
    """All rounds."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_s: list[float] = field(default_factory=list)

    def add(self, seen: list[Seen]) -> None:
        for each in seen:
            self.ends["before the first word" if each.waiting else "in the middle", each.end] += 1
            if each.waiting and each.first_s:
                self.first_s.append(each.first_s)


async def stream(http: aiohttp.ClientSession, target: Target, number: int, killed: asyncio.Event) -> Seen:
    """Read one stream to whatever end it has."""
    late = number % 2 == 1
    seen = Seen(waiting=True)
    messages = [{"role": "user", "content": f"Question {number}: how often was the northern line late?"}]
    body = {"model": target.model, "stream": True, "messages": messages, "seed": _DELAY_MS if late else 0}
    began = time.perf_counter()
    try:
        async with asyncio.timeout(_LONGEST_S):
            async with http.post("/v1/chat/completions", json=body) as reply:
                if reply.status != 200:
                    seen.waiting, seen.end = True, f"status {reply.status}"
                    print(await reply.text(), file=sys.stderr)
                    return seen
                seen.end = "connection lost"
                async for line in reply.content:
                    if line.startswith(b"data: [DONE]"):
                        seen.end = "whole" if seen.words >= len(TOKENS) else "short"
                    elif line.startswith(b"data: "):
                        _look(json.loads(line[6:]), seen, began)
                    if not killed.is_set():
                        seen.waiting = not seen.words
    except TimeoutError:
        seen.end = "hung"
    except aiohttp.ClientError as error:
        seen.end = type(error).__name__
    return seen


def _look(chunk: dict, seen: Seen, began: float) -> None:
    if "error" in chunk:
        seen.end = "a clear error" if seen.words else "an error before the first word"
        return
    for choice in chunk["choices"]:
        if text := choice["delta"].get("content"):
            seen.first_s = seen.first_s or time.perf_counter() - began
            seen.words += len(text.split())


async def one_round(target: Target, victim: Started, streams: int) -> list[Seen]:
    """Start the streams, kill the victim in the middle of them."""
    killed = asyncio.Event()
    headers = {"authorization": f"Bearer {target.key}"}
    connector = aiohttp.TCPConnector(limit=0)
    url = f"http://127.0.0.1:{target.port}"
    async with aiohttp.ClientSession(url, headers=headers, connector=connector) as http:
        tasks = [asyncio.create_task(stream(http, target, number, killed)) for number in range(streams)]
        await asyncio.sleep(_KILL_AFTER_S)
        victim.process.kill()
        killed.set()
        return await asyncio.gather(*tasks)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--port", type=int, default=18480, help="and the next three")
    given = parser.parse_args()
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="bench-failover-") as folder:
        backends = [_backend(given.port + index, Path(folder)) for index in (1, 2)]
        urls = [f"http://127.0.0.1:{given.port + index}" for index in (1, 2)]
        settings = {"SIGNALBOX__INFERENCE__BACKENDS": json.dumps([{"base_url": url} for url in urls])}
        target: Target | None = None
        try:
            target = signalbox(Place(Path(folder), Path(), given.port, ""), settings)
            for number in range(given.rounds):
                seen = uvloop.run(one_round(target, backends[number % 2], given.streams))
                print(number, dict(Counter(f"{each.waiting} {each.end}" for each in seen)), file=sys.stderr)
                figures.add(seen)
                backends[number % 2] = _backend(given.port + 1 + number % 2, Path(folder))
                time.sleep(12)  # a breaker that opened lets one call try after ten seconds
        finally:
            if target is not None:
                target.stop()
            for backend in backends:
                backend.stop()
    show(figures, given)


def _backend(port: int, folder: Path) -> Started:
    command = [sys.executable, "-m", "bench.gateway.upstream", str(port)]
    if answers(port, "/health", MODEL):
        raise SystemExit(f"Somebody else listens on port {port}.")
    started = start(f"backend-{port}", command, core=0, folder=folder, env=os.environ)
    wait_until(lambda: answers(port, "/health", MODEL), 20, started)
    return started


def show(figures: Figures, given: argparse.Namespace) -> None:
    """As the table of bench/README.md."""
    print(f"{given.rounds} rounds of {given.streams} streams\n")
    print("| when the server was killed | how the stream ended | streams |\n|---|---|---|")
    for (phase, end), count in sorted(figures.ends.items()):
        print(f"| {phase} | {end} | {count} |")
    p50, p99 = (quantile(figures.first_s, share) * 1000 - _DELAY_MS for share in (0.5, 0.99))
    again = f"of which {_KILL_AFTER_S * 1000:.0f} ms were lost with the server"
    print(f"\nfirst word later than by the script, {again}: p50 {p50:.0f} ms, p99 {p99:.0f} ms")


if __name__ == "__main__":
    main()
