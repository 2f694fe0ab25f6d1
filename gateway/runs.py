"""`/v1/runs/{run_id}`: a run's events, live or afterwards, and the way to stop it. Owners only."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from gateway.auth import principal_of
from gateway.calls import LiveCalls
from gateway.openai.streaming import KEEPALIVE
from gateway.sse import ByteStream
from runs.events import RunEvent
from runs.log import RunLog

After = Annotated[int, Query(ge=0)]


class RunsApi:
    """The routes of runs."""

    def __init__(self, log: RunLog, calls: LiveCalls, *, keepalive_s: float) -> None:
        self._log = log
        self._calls = calls
        self._keepalive_s = keepalive_s
        self.router = APIRouter(prefix="/v1/runs")
        self.router.add_api_route("/{run_id}/events", self.events, methods=["GET"], response_model=None)
        self.router.add_api_route("/{run_id}/cancel", self.cancel, methods=["POST"])

    async def events(
        self,
        request: Request,
        run_id: str,
        after: After = 0,
        last_event_id: Annotated[int | None, Header(ge=0)] = None,
    ) -> Response | dict[str, Any]:
        """Server-sent events when the client accepts them (resumed after `Last-Event-ID`), else what is there now."""
        principal = principal_of(request)
        after = max(after, last_event_id or 0)
        if "text/event-stream" not in request.headers.get("accept", ""):
            events = await self._log.events(principal, run_id, after_seq=after)
            return {"object": "list", "data": [event.model_dump(mode="json") for event in events]}
        batches = await self._log.subscribe(principal, run_id, after_seq=after, idle_s=self._keepalive_s)
        return ByteStream(_frames(batches))

    async def cancel(self, request: Request, run_id: str) -> dict[str, Any]:
        """Stop a run, or a call of a bare model; what was released of its answer stays."""
        principal = principal_of(request)
        stopped = self._calls.cancel(principal, run_id)
        if stopped is None:
            stopped = await self._log.cancel(principal, run_id)
        return {"id": run_id, "object": "run", "cancelled": stopped}


async def _frames(batches: AsyncGenerator[list[RunEvent], None]) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(batches):
        async for batch in batches:
            yield b"".join(_frame(event) for event in batch) or KEEPALIVE


def _frame(event: RunEvent) -> bytes:
    data = event.model_dump_json().encode()
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.seq, event.type.encode(), data)
