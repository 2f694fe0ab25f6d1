"""Is the process alive, is everything that it needs there, and what does it count?"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from gateway.auth import ADMIN_SCOPE, require_scope
from gateway.limits import Admission
from gateway.metrics import Metrics

Health = Callable[[], Awaitable[dict[str, dict[str, str]]]]
"""Each dependency with its `state` (`up`, or what is wrong) and, where it is not up, a `fix`."""

UP = "up"
NOT_NEEDED = {"needed": "no"}
"""In the entry of a dependency without which calls can be taken all the same."""
METRICS_PATH = "/metrics"
_HEALTH_TIMEOUT_S = 5


class HealthApi:
    """The routes for supervisors and scrapers."""

    def __init__(self, health: Health, metrics: Metrics, admission: Admission) -> None:
        self._health = health
        self._metrics = metrics
        self._admission = admission
        self.router = APIRouter()
        self.router.add_api_route("/healthz", self.alive, methods=["GET", "HEAD"])
        self.router.add_api_route("/readyz", self.ready, methods=["GET"], response_model=None)
        self.router.add_api_route(METRICS_PATH, self.metrics, methods=["GET"], response_model=None)

    async def alive(self) -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    async def ready(self) -> Response:
        """503 until every dependency that is needed is up, and again while shutting down."""
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT_S):
                dependencies = await self._health()
        except TimeoutError:
            late = f"no answer within {_HEALTH_TIMEOUT_S} s"
            dependencies = {
                "health": {"state": late, "fix": "Look for what hangs in the log; restart if nothing does."}
            }
        up = all(entry.get("state") == UP or NOT_NEEDED.items() <= entry.items() for entry in dependencies.values())
        draining = self._admission.draining
        status = "shutting down" if draining else "ready" if up else "not ready"
        body: dict[str, Any] = {"status": status, "dependencies": dependencies}
        return Response(orjson.dumps(body), 200 if status == "ready" else 503, media_type="application/json")

    async def metrics(self, request: Request) -> Response:
        """Prometheus text, for a key with the scope `admin` (or the loopback address, where the settings say so)."""
        principal = request.scope.get("state", {}).get("principal")
        if principal is not None:
            require_scope(principal, ADMIN_SCOPE)
        return Response(generate_latest(self._metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})
