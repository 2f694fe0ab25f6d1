"""Logs as events with fields, on standard error; nothing of a message's content, no secrets."""

import logging
import sys
from typing import Literal

import structlog

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


def configure_logging(level: str = "WARNING", log_format: LogFormat = "console") -> None:
    """Set up structlog and the standard library's loggers for this process."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=threshold, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", force=True)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, threshold))
