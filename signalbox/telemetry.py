"""Logs as events with fields, on standard error; nothing of a message's content, no secrets. Traces where wanted."""

import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TextIO, cast

import structlog
from opentelemetry import trace

LogFormat = Literal["console", "json"]

# These log arguments, prompts or one line per request at their usual levels.
_QUIET = {
    "autogen_core": logging.ERROR,
    "autogen_core.events": logging.CRITICAL,
    "semantic_kernel": logging.ERROR,
    "mcp": logging.WARNING,
    "httpx": logging.WARNING,
    "httpx2": logging.WARNING,
    "chromadb": logging.WARNING,
    "a2a": logging.WARNING,
    "uvicorn.access": logging.WARNING,
}


class _StandardError:
    """Standard error as it is at the time of writing: loggers outlive the stream that was there when they were made."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logging(level: str = "WARNING", log_format: LogFormat = "console") -> None:
    """Set up structlog and the standard library's loggers for this process."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    stream = _StandardError()
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, stream)),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=threshold, stream=stream, format="%(levelname)s %(name)s %(message)s", force=True)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, threshold))


def leave_out_spans() -> None:
    """Where nobody has set up tracing, make a span cost nothing.

    The libraries open some twenty for a turn. Without an exporter OpenTelemetry still builds, attaches and detaches a
    context for each: a twentieth of a turn's processor time. What a caller sent (a trace id) stays current.
    """
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(_NoSpans())


def spans_are_left_out() -> bool:
    """Whether nobody has set up tracing: a framework that opens spans of its own may then leave them out too."""
    return isinstance(trace.get_tracer_provider(), _NoSpans)


class _NoSpans(trace.TracerProvider):
    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return _NoSpan()


class _NoSpan(trace.Tracer):
    def start_span(self, name: str, context: Any = None, *_: Any, **__: Any) -> trace.Span:
        return trace.get_current_span(context)

    def start_as_current_span(  # type: ignore[override]  # a decorator as well, there; nobody uses it as one
        self, name: str, context: Any = None, *_: Any, **__: Any
    ) -> AbstractContextManager[trace.Span]:
        return nullcontext(trace.get_current_span(context))
