"""A bare model for callers who want no agents: a chat body goes to the model's server nearly as it came.

Admission, affinity, failover, metering and tracing are those of every other call; tools and response formats are the
caller's, so nothing is validated but the protocol. What comes back has not been reviewed: the gateway does that.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

from inference.client import Route
from inference.contracts import CallScope, Purpose
from inference.direct_body import direct_body
from inference.direct_local import LocalDirect
from inference.errors import ModelFault
from inference.fallback import FallbackPolicy
from inference.money import within_money
from inference.request import chat_job
from inference.tally import Tally
from inference.telemetry import Telemetry
from signalbox.errors import BudgetSpent, UpstreamDown

Chunk = dict[str, Any]


class DirectUpstream:
    """The model chosen for one request, its fallbacks after it. `money`: what all its attempts may cost together."""

    def __init__(
        self,
        routes: "tuple[Route | LocalDirect, ...]",
        scope: CallScope,
        telemetry: Telemetry,
        policy: FallbackPolicy,
        *,
        money: float | None = None,
    ) -> None:
        self._routes = routes
        self._purpose: Purpose = "batch" if scope.priority else "direct"
        self._scope = scope if scope.purpose == self._purpose else replace(scope, purpose=self._purpose)
        self._telemetry = telemetry
        self._policy = policy
        self._money = money

    async def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A whole chat completion as the server sent it."""
        sent = direct_body(body)
        for index, route in enumerate(self._routes):
            try:
                return await self._complete(route, sent)
            except (UpstreamDown, BudgetSpent) as error:
                self._policy.step(index, error)
        raise AssertionError("The last route returns or raises.")

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[list[Chunk], None]:
        """Chat completion chunks, in batches as they came from the network; the usage chunk is always among them.

        Closing the generator, or cancelling the task that reads it, ends the request at the server.
        """
        sent = direct_body(body)
        for index, route in enumerate(self._routes):
            begun = False
            batches = route.stream(sent, self._scope) if isinstance(route, LocalDirect) else self._remote(route, sent)
            try:
                async for batch in batches:
                    begun = True
                    yield batch
                return
            except (UpstreamDown, BudgetSpent) as error:
                if begun:
                    raise
                self._policy.step(index, error)
            finally:
                await batches.aclose()

    async def _complete(self, route: "Route | LocalDirect", body: dict[str, Any]) -> dict[str, Any]:
        if isinstance(route, LocalDirect):
            return await route.complete(body, self._scope)
        pool = route.pool
        with self._telemetry.call(self._purpose, pool.label, self._scope, pool.model.price) as record:
            record.degraded = route.degraded
            name = await pool.resolve(record)
            merged = self._bounded(route, body)
            job = chat_job(merged, served_name=name, model=pool.model, record=record, scope=self._scope, stream=None)
            completion = await pool.fetch(job)
            if not completion.get("choices"):
                raise ModelFault("The model server's reply holds no choice.", hint="Is it OpenAI-compatible?")
            record.tally.report(completion.get("usage"))
            return completion

    def _bounded(self, route: Route, body: dict[str, Any]) -> dict[str, Any]:
        model = route.pool.model
        merged = {**model.parameters, **route.parameters, **body}
        if self._money is None:
            return merged
        return within_money(merged, model, self._money - self._scope.meter.cost)

    async def _remote(self, route: Route, body: dict[str, Any]) -> AsyncGenerator[list[Chunk], None]:
        pool = route.pool
        with self._telemetry.call(self._purpose, pool.label, self._scope, pool.model.price) as record:
            record.degraded = route.degraded
            name = await pool.resolve(record)
            merged = self._bounded(route, body)
            job = chat_job(merged, served_name=name, model=pool.model, record=record, scope=self._scope, stream="last")
            stream = await pool.stream(job)
            tally = record.tally
            try:
                while batch := await stream.next():
                    for chunk in batch:
                        _count(chunk, tally)
                    yield batch
            finally:
                stream.close()


def _count(chunk: Chunk, tally: Tally) -> None:
    if usage := chunk.get("usage"):
        tally.report(usage)
    choices = chunk.get("choices")
    if not choices:
        return
    try:
        delta = choices[0].get("delta")
        if not delta:
            return
        text = delta.get("content") or delta.get("reasoning") or delta.get("reasoning_content")
        if text:
            tally.saw(len(text))
        elif calls := delta.get("tool_calls"):
            tally.saw(sum(len((call.get("function") or {}).get("arguments") or "") for call in calls))
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelFault("The model server sent a chunk that is not a chat completion.") from error
