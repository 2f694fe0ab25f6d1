"""What ends a request from outside, and the trace that its caller is in."""

import asyncio

import pytest

from gateway.callers_trace import CallersTrace
from gateway.stopping import GoneWatch, Stop
from toolbus.trace import current_trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_a_stop_ends_the_work_with_its_reason_and_only_the_first_counts():
    stop = Stop()

    async def work() -> str:
        with stop:
            await asyncio.sleep(3600)
        return f"ended: {stop.reason}"

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    assert [stop("enough"), stop("again")] == [True, False]
    assert await task == "ended: enough"
    assert stop("late") is False


async def test_the_cancellation_of_somebody_else_goes_on_also_beside_a_stop():
    for both in (False, True):
        stop = Stop()

        async def work(stop: Stop = stop) -> None:
            with stop:
                await asyncio.sleep(3600)

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        if both:
            stop("enough")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_error_of_the_work_is_not_hidden_by_a_stop():
    stop = Stop()

    async def work() -> None:
        with stop:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                raise ValueError("broken while it ended") from None

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    stop("enough")
    with pytest.raises(ValueError, match="broken"):
        await task
    assert task.cancelling() == 0


async def test_a_client_that_leaves_is_noticed_and_one_that_stays_is_not():
    for kind, calls in (("http.disconnect", 1), ("http.request", 0)):
        gone: list[str] = []

        async def receive(kind: str = kind) -> dict[str, str]:
            await asyncio.sleep(0.01)
            return {"type": kind}

        async with GoneWatch(receive, lambda gone=gone: gone.append("gone")):
            await asyncio.sleep(0.2)
        assert len(gone) == calls


@pytest.mark.parametrize(
    ("headers", "seen"), [([(b"traceparent", f"00-{TRACE}-{'1' * 16}-01".encode())], TRACE), ([], "")]
)
async def test_the_trace_of_a_caller_is_current_during_its_request_and_not_after(headers, seen):
    traces: list[str] = []

    async def app(_scope: object, _receive: object, _send: object) -> None:
        traces.append(current_trace_id())

    await CallersTrace(app)({"type": "http", "headers": headers}, None, None)  # type: ignore[arg-type]
    assert (traces, current_trace_id()) == ([seen], "")
