"""A real process whose one model server has one place: who waits, who goes first, who is told to come back."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.inference.peer import Peer, Script
from tests.system.conftest import Running, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

ONE_PLACE = {"max_in_flight_per_backend": 1, "max_queued_per_tenant": 2}


async def served_by(peer: Peer, folder: Path) -> Running:
    """`signalbox up` in front of this model server."""
    return await asyncio.to_thread(
        start,
        folder / "var",
        SIGNALBOX__DEMO__ENABLED="false",
        SIGNALBOX__INFERENCE__BASE_URL=peer.url,
        SIGNALBOX__INFERENCE__MODEL="test-model",
        SIGNALBOX__INFERENCE__LIMITS=json.dumps(ONE_PLACE),
        SIGNALBOX__BATCH__QUIET_AFTER_S="0",
    )


def chat(seed: int) -> dict[str, Any]:
    return {"model": "direct", "seed": seed, "messages": [{"role": "user", "content": f"Number {seed}?"}]}


async def seeds_at_least(peer: Peer, count: int) -> list[int]:
    """The seeds of the calls that the model server got, in their order, once there are so many."""
    async with asyncio.timeout(20):
        while len(found := [request.body["seed"] for request in peer.requests]) < count:
            await asyncio.sleep(0.02)
    return found


async def test_a_person_goes_before_the_lines_of_a_batch_and_past_the_queue_is_told_when_to_come_back(tmp_path: Path):
    async with Peer() as peer:
        peer.script = Script(head_s=1.5)
        running = await served_by(peer, tmp_path)
        key = next(iter(running.keys.values()))
        headers = {"Authorization": f"Bearer {key}"}
        try:
            async with httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=30) as client:
                lines = [
                    {"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": chat(n)}
                    for n in (101, 102)
                ]
                file = ("lines.jsonl", "\n".join(map(json.dumps, lines)).encode())
                sent = await client.post("/v1/files", data={"purpose": "batch"}, files={"file": file})
                batch = {
                    "input_file_id": sent.json()["id"],
                    "endpoint": "/v1/chat/completions",
                    "completion_window": "24h",
                }
                assert (await client.post("/v1/batches", json=batch)).status_code == 200
                assert (await seeds_at_least(peer, 1))[0] > 100  # it has the place, the other line waits
                person = asyncio.create_task(client.post("/v1/chat/completions", json=chat(1)))
                await asyncio.sleep(0.3)
                late = await client.post("/v1/chat/completions", json=chat(2))
                assert (late.status_code, late.headers["retry-after"]) == (429, "1")
                assert (await person).status_code == 200
                order = await seeds_at_least(peer, 3)
                assert (order[1], sorted(order)) == (1, [1, 101, 102])
        finally:
            await asyncio.to_thread(running.stop)
