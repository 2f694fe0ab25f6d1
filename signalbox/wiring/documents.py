"""Documents for the gateway and the MCP face: through the tool bus, with the caller's own access, like any agent."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import structlog

from gateway.documents import DocumentView, IndexRequest, IngestProgress, IngestRequest
from mcp_servers.assistant.models import Passage, Passages
from signalbox.errors import NotAllowed, NotFound, ToolFault, UpstreamDown, UserFault
from signalbox.identity import Chain, Principal
from toolbus.bus import KernelToolBus
from toolbus.contracts import ToolOutcome

_log = structlog.get_logger(__name__)
_INGEST_TIMEOUT_S = 24 * 3600.0
_BEAT_S = 10.0  # a caller that waits longer than that for a word might give up
_INDEX_TOOLS = {"check": "check_index", "rebuild": "rebuild_index", "roll_back": "roll_back_index"}
_WINDOW_CHARS = 20_000
_AROUND = 4  # the most that fits into one result of the bus in any language, the passage itself included
_CRASHED = "Error executing tool read"  # all that the MCP SDK tells of what a tool did not foresee


class BusDocuments:
    """Implements `gateway.documents.KnowledgeGate` and `mcp_servers.assistant.local.DocumentSearch`."""

    def __init__(self, bus: KernelToolBus) -> None:
        self._bus = bus

    async def open(self, principal: Principal, document_id: str, *, chunk_id: str | None = None) -> DocumentView:
        """The document, around a passage where one is given."""
        arguments: dict[str, Any] = {"document": document_id, "length": _WINDOW_CHARS}
        if chunk_id:
            arguments = {"passage": chunk_id, "around": _AROUND}
        outcome = await self._bus.raw_call(Chain(principal=principal), "knowledge__read", arguments)
        if outcome.status == "error" and outcome.answered and outcome.text != _CRASHED:
            raise NotFound(f"There is no document {document_id!r}.")
        found = _structured(outcome)
        if chunk_id and document_id not in (found["document_id"], found["document"]):
            raise NotFound(f"There is no passage {chunk_id!r} in the document {document_id!r}.")
        cited = next((item for item in found["evidence"] if item["chunk_id"] == chunk_id), None)
        return DocumentView(
            document_id=found["document_id"],
            document=found["document"],
            title=found["title"],
            uri=found["uri"],
            modified=found["modified"],
            text=found["text"],
            start=found["start"],
            total_chars=found["total_characters"],
            chunk_id=chunk_id or "",
            mark_start=cited["start"] if cited else None,
            mark_end=cited["end"] if cited else None,
        )

    async def search(self, principal: Principal, query: str, limit: int) -> Passages:
        """Passages that the principal may see, best first."""
        arguments = {"query": query, "limit": limit}
        found = _structured(await self._bus.raw_call(Chain(principal=principal), "knowledge__search", arguments))
        return Passages(passages=[Passage.model_validate(item) for item in found["evidence"]])

    async def ingest(self, principal: Principal, request: IngestRequest) -> AsyncGenerator[IngestProgress, None]:
        """Ingest a folder of this machine; the last item carries the report."""
        if not await asyncio.to_thread(Path(request.path).is_dir):
            raise UserFault(f"There is no folder {request.path!r} on the server's machine.", param="path")
        told: asyncio.Queue[IngestProgress] = asyncio.Queue()

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            told.put_nowait(IngestProgress(processed=int(progress), total=int(total or 0), document=message or ""))

        arguments = {"path": request.path, "access": list(request.access or ("everyone",)), "dry_run": request.dry_run}
        work = asyncio.create_task(
            self._bus.raw_call(
                Chain(principal=principal),
                "knowledge__ingest_folder",
                arguments,
                timeout_s=_INGEST_TIMEOUT_S,
                on_progress=on_progress,
            )
        )
        work.add_done_callback(lambda _: told.put_nowait(IngestProgress(done=True)))
        try:
            while not (item := await told.get()).done:
                yield item
            report = _structured(await work)
            yield item.model_copy(update={"summary": report})
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def maintain(self, principal: Principal, request: IndexRequest) -> AsyncGenerator[IngestProgress, None]:
        """Look after the index; the last item carries what was done."""
        tool = f"knowledge__{_INDEX_TOOLS[request.action]}"
        work = asyncio.create_task(
            self._bus.raw_call(Chain(principal=principal), tool, {}, timeout_s=_INGEST_TIMEOUT_S)
        )
        try:
            while not (await asyncio.wait([work], timeout=_BEAT_S))[0]:
                yield IngestProgress()
            yield IngestProgress(done=True, summary=_structured(await work))
        finally:
            work.cancel()
            await asyncio.wait([work])


def _structured(outcome: ToolOutcome) -> dict[str, Any]:
    match outcome.status:
        case "ok" if isinstance(outcome.structured, dict):
            return outcome.structured
        case "denied":
            raise NotAllowed(outcome.text)
        case "cancelled":
            raise UpstreamDown("The knowledge server was stopped while it worked.", hint="Try again.")
        case "error" if not outcome.answered:
            _log.warning("documents_unavailable", tool=outcome.tool, reason=outcome.text)
            raise UpstreamDown("The knowledge server does not answer.", hint="Try again in a moment.")
        case _:
            raise ToolFault(outcome.text)
