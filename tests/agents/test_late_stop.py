"""A stop that comes when the work is all but done: the run is recorded once, as what it became."""

import asyncio

from tests.agents.scripted import ADA, Reply, ask


async def test_a_run_that_finishes_although_it_was_stopped_is_recorded_once(house):
    """The reader leaves while the answer waits for room; without a reader nothing waits, and the run is through."""
    home = house(lambda seen: Reply("One. Two. Three. Four. ", chunks=1), queue_events=1)
    stream = home.turns.run(ask("Count", model="direct"))
    await anext(stream)
    await asyncio.sleep(0.05)
    await stream.aclose()
    (record,) = [message for message in home.conversations.of(ADA) if message.role == "assistant"]
    assert record.text.split() == ["One.", "Two.", "Three.", "Four."]
    assert not record.result.cancelled
