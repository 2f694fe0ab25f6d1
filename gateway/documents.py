"""`/v1/documents`: open a cited document where it is cited, ingest a folder, look after the index."""

import contextlib
import html
from collections.abc import AsyncGenerator
from typing import Any, Literal, Protocol

import orjson
import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from gateway.auth import ADMIN_SCOPE, principal_of, require_scope
from gateway.errors import INTERNAL, fault_of
from gateway.json_body import parse, read_json
from gateway.sse import ByteStream
from signalbox.errors import SignalboxError
from signalbox.identity import Principal

_log = structlog.get_logger(__name__)
_CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "pre{white-space:pre-wrap;font:inherit}mark{padding:.1em 0}small{opacity:.7}"
)


class DocumentView(BaseModel):
    """A window of a document's text; `mark_start` and `mark_end` are offsets into the whole text, as `start` is."""

    model_config = ConfigDict(frozen=True)

    document_id: str
    document: str
    title: str
    uri: str = ""
    media_type: str = ""
    modified: str | None = None
    text: str
    start: int = 0
    total_chars: int = 0
    chunk_id: str = ""
    mark_start: int | None = None
    mark_end: int | None = None


class IngestRequest(BaseModel):
    """What to ingest; `access` are subjects such as `everyone` or `group:finance`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1, max_length=4096)
    access: tuple[str, ...] = ()
    dry_run: bool = False


class IndexRequest(BaseModel):
    """What to do with the index of the documents: compare and mend, build anew, return to the one before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["check", "rebuild", "roll_back"]


class IngestProgress(BaseModel):
    """One line of progress; the last one has `done`."""

    model_config = ConfigDict(frozen=True)

    document: str = ""
    status: str = ""
    reason: str = ""
    processed: int = 0
    total: int | None = None
    done: bool = False
    summary: dict[str, Any] = Field(default_factory=dict)


class KnowledgeGate(Protocol):
    """Documents as the gateway sees them; wiring implements it with the checks of the tool bus."""

    async def open(self, principal: Principal, document_id: str, *, chunk_id: str | None = None) -> DocumentView:
        """The document around that chunk; raises `NotFound` when it is not there or not the principal's to see."""
        ...

    def ingest(self, principal: Principal, request: IngestRequest) -> AsyncGenerator[IngestProgress, None]:
        """Ingest, one item for each document; closing the iterator stops it."""
        ...

    def maintain(self, principal: Principal, request: IndexRequest) -> AsyncGenerator[IngestProgress, None]:
        """Look after the index, an item now and then while it takes; closing the iterator stops it."""
        ...


class DocumentsApi:
    """The routes of documents."""

    def __init__(self, knowledge: KnowledgeGate) -> None:
        self._knowledge = knowledge
        self.router = APIRouter(prefix="/v1/documents")
        self.router.add_api_route("/ingest", self.ingest, methods=["POST"], response_model=None)
        self.router.add_api_route("/index", self.maintain, methods=["POST"], response_model=None)
        # An id, or the path that a source names: both find the document.
        self.router.add_api_route("/{document_id:path}", self.open, methods=["GET"], response_model=None)

    async def open(self, request: Request, document_id: str, chunk: str | None = None) -> Response:
        """HTML for browsers, JSON for everybody else."""
        view = await self._knowledge.open(principal_of(request), document_id, chunk_id=chunk)
        headers = {"cache-control": "private, no-store", "vary": "accept"}
        if "text/html" in request.headers.get("accept", ""):
            headers |= {"content-security-policy": _CSP, "referrer-policy": "no-referrer"}
            return Response(page_of(view), headers=headers, media_type="text/html; charset=utf-8")
        body = orjson.dumps({"object": "document", **view.model_dump(mode="json")})
        return Response(body, headers=headers, media_type="application/json")

    async def ingest(self, request: Request) -> Response:
        """Ingest a folder or a file of the server; progress as one JSON object a line."""
        principal = principal_of(request)
        require_scope(principal, ADMIN_SCOPE)
        asked = parse(IngestRequest, await read_json(request, max_depth=8))
        return await _told(self._knowledge.ingest(principal, asked))

    async def maintain(self, request: Request) -> Response:
        """Compare and mend the index, build it anew or return to the one before; one JSON object a line."""
        principal = principal_of(request)
        require_scope(principal, ADMIN_SCOPE)
        asked = parse(IndexRequest, await read_json(request, max_depth=8))
        return await _told(self._knowledge.maintain(principal, asked))


async def _told(progress: AsyncGenerator[IngestProgress, None]) -> Response:
    first = await anext(progress, None)  # what cannot even begin is an HTTP error
    return ByteStream(_lines(first, progress), media_type="application/x-ndjson")


async def _lines(
    first: IngestProgress | None, progress: AsyncGenerator[IngestProgress, None]
) -> AsyncGenerator[bytes, None]:
    if first is None:
        return
    async with contextlib.aclosing(progress):
        yield _line(first.model_dump(mode="json"))
        try:
            async for item in progress:
                yield _line(item.model_dump(mode="json"))
        except SignalboxError as error:
            yield _line(fault_of(error).body())
        except Exception:  # noqa: BLE001 - the headers are out: the last line tells
            _log.exception("ingest.crashed")
            yield _line(INTERNAL.body())


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value) + b"\n"


def page_of(view: DocumentView) -> str:
    """The window as a page without scripts; every part of the document is escaped."""
    title = html.escape(view.title or view.document)
    modified = f" · {html.escape(view.modified)}" if view.modified else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p><small>{html.escape(view.document)}{modified}</small></p>"
        f"<pre>{_marked(view)}</pre></html>"
    )


def _marked(view: DocumentView) -> str:
    if view.mark_start is None or view.mark_end is None:
        return html.escape(view.text)
    start = min(max(view.mark_start - view.start, 0), len(view.text))
    end = min(max(view.mark_end - view.start, start), len(view.text))
    before, marked, after = view.text[:start], view.text[start:end], view.text[end:]
    return f'{html.escape(before)}<mark id="cited">{html.escape(marked)}</mark>{html.escape(after)}'
