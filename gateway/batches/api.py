"""Make, follow, list and cancel batches, as OpenAI's clients do. Another's batch does not exist."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from gateway.auth import principal_of
from gateway.json_body import parse, read_json
from gateway.paging import page
from inference.batch.contracts import Batch, BatchRequest
from inference.batch.files import FileStore
from inference.batch.store import BatchStore
from signalbox.errors import UserFault

_MAX_DEPTH = 8
Limit = Annotated[int, Query(ge=1, le=100)]
Short = Annotated[str, Field(max_length=64)]
Value = Annotated[str, Field(max_length=512)]

_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


class WireBatch(BaseModel):
    """`POST /v1/batches`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input_file_id: str
    endpoint: str
    completion_window: Literal["24h"]
    metadata: dict[Short, Value] | None = Field(default=None, max_length=16)


@dataclass(frozen=True)
class BatchServices:
    """What files and batches stand on. endpoints: what lines may ask; wake: tells the runner of something new."""

    files: FileStore
    store: BatchStore
    endpoints: Collection[str]
    wake: Callable[[], None]
    max_file_bytes: int


class BatchesApi:
    """The routes of batches."""

    def __init__(self, services: BatchServices) -> None:
        self._store = services.store
        self._files = services.files
        self._endpoints = services.endpoints
        self._wake = services.wake
        self.router = APIRouter(prefix="/v1/batches")
        self.router.add_api_route("", self.create, methods=["POST"])
        self.router.add_api_route("", self.list, methods=["GET"])
        self.router.add_api_route("/{batch_id}", self.get, methods=["GET"])
        self.router.add_api_route("/{batch_id}/cancel", self.cancel, methods=["POST"])

    async def create(self, request: Request) -> dict[str, Any]:
        """A batch of an uploaded file; its lines are checked before the first one is worked on."""
        asked = parse(WireBatch, await read_json(request, max_depth=_MAX_DEPTH))
        if asked.endpoint not in self._endpoints:
            known = ", ".join(sorted(self._endpoints))
            raise UserFault(f"A batch cannot ask {asked.endpoint!r}.", hint=f"Known: {known}.", param="endpoint")
        principal = principal_of(request)
        source = await self._files.get(principal, asked.input_file_id)
        if source.purpose != "batch":
            raise UserFault(f"The file {source.id!r} is a result, not an input.", param="input_file_id")
        wanted = BatchRequest(input_file_id=source.id, endpoint=asked.endpoint, metadata=asked.metadata or {})
        made = await self._store.create(principal, wanted)
        self._wake()
        return batch_object(made)

    async def list(self, request: Request, limit: Limit = 20, after: str | None = None) -> dict[str, Any]:
        """The caller's batches, latest first; `after` is the last one of the page before."""
        found = await self._store.list(principal_of(request), limit=limit + 1, after=after)
        return page([batch_object(item) for item in found], limit)

    async def get(self, request: Request, batch_id: str) -> dict[str, Any]:
        """One batch: state, counts, result files."""
        return batch_object(await self._store.get(principal_of(request), batch_id))

    async def cancel(self, request: Request, batch_id: str) -> dict[str, Any]:
        """Stop it: running lines end, what is done is kept, the rest is listed in the errors file."""
        found = await self._store.cancel(principal_of(request), batch_id)
        self._wake()
        return batch_object(found)


def batch_object(batch: Batch) -> dict[str, Any]:
    """The batch as OpenAI shows it."""
    faults = [fault.model_dump() for fault in batch.faults]
    times = {f"{name}_at": int(batch.times[name].timestamp()) if name in batch.times else None for name in _TIMES}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.request.endpoint,
        "errors": {"object": "list", "data": faults} if faults else None,
        "input_file_id": batch.request.input_file_id,
        "completion_window": batch.request.completion_window,
        "status": batch.state.value,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": int(batch.created_at.timestamp()),
        "expires_at": int(batch.expires_at.timestamp()),
        **times,
        "request_counts": batch.counts.model_dump(),
        "metadata": batch.request.metadata or None,
    }
