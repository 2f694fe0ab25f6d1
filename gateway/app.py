"""Builds the gateway's app out of what it is given."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from agents.direct_calls import DirectCalls
from agents.embedding_calls import EmbeddingCalls
from conversations.contracts import ConversationStore
from gateway.approvals import ApprovalsApi
from gateway.auth import OPEN_PATHS, Authentication
from gateway.batches.api import BatchesApi, BatchServices
from gateway.callers_trace import CallersTrace
from gateway.conversations import ConversationsApi
from gateway.documents import DocumentsApi, KnowledgeGate
from gateway.edge import Edge
from gateway.errors import on_http_exception, on_signalbox_error, on_validation_error
from gateway.files.api import PATH as FILES_PATH
from gateway.files.api import FilesApi
from gateway.health import METRICS_PATH, Health, HealthApi
from gateway.keys import ApiKeys
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from gateway.openai.chat import ChatApi, ChatDoor
from gateway.openai.embeddings import EmbeddingsApi
from gateway.runs import RunsApi
from gateway.settings import GatewaySettings
from gateway.turns import Turns
from runs.approvals import Approvals
from signalbox.errors import SignalboxError
from signalbox.telemetry import spans_are_left_out

_FORM_BYTES = 64 * 1024  # what a form adds to the file in it

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class GatewayServices:
    """What the gateway stands on; wiring makes it."""

    turns: Turns
    direct: DirectCalls
    embeddings: EmbeddingCalls
    conversations: ConversationStore
    approvals: Approvals
    keys: ApiKeys
    knowledge: KnowledgeGate
    health: Health
    metrics: Metrics
    batches: BatchServices | None = None


def build_app(
    services: GatewayServices,
    settings: GatewaySettings,
    *,
    lifespan: Lifespan | None = None,
    routes: Sequence[BaseRoute] = (),
) -> FastAPI:
    """The app; `routes` are other faces (A2A, MCP), which get authenticated requests as all routes do."""
    turns, log = services.turns, services.turns.log
    metrics = services.metrics
    traced = not spans_are_left_out()
    app = _empty_app(lifespan, traced=traced)
    chat = ChatApi(turns, services.direct, settings)
    for api in (
        chat,
        EmbeddingsApi(services.embeddings, turns.calls, settings),
        ConversationsApi(services.conversations, log),
        ApprovalsApi(services.approvals),
        RunsApi(log, turns.calls, keepalive_s=settings.keepalive_s),
        DocumentsApi(services.knowledge),
        HealthApi(services.health, metrics, turns.admission),
    ):
        app.include_router(api.router)
    larger: dict[str, int] = {}
    if services.batches is not None:
        app.include_router(FilesApi(services.batches.files).router)
        app.include_router(BatchesApi(services.batches).router)
        larger[FILES_PATH] = services.batches.max_file_bytes + _FORM_BYTES
    app.router.routes.extend(routes)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(SignalboxError, on_signalbox_error)
    app.add_middleware(ChatDoor, chat=chat)  # innermost: behind the door that asks who comes
    app.add_middleware(
        Authentication,
        authenticate=services.keys.authenticate,
        rate=RateLimit(settings.requests_per_minute),
        open_paths=OPEN_PATHS,
        loopback_paths=frozenset({METRICS_PATH} if settings.metrics_from_loopback else ()),
    )
    # The last added is outermost.
    app.add_middleware(Edge, max_body_bytes=settings.max_body_bytes, metrics=metrics, larger=larger)
    if not traced:
        app.add_middleware(CallersTrace)
    return app


def _empty_app(lifespan: Lifespan | None, *, traced: bool) -> FastAPI:
    app = FastAPI(
        title="Signalbox",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": traced},
    )
    app.router.redirect_slashes = False
    return app
