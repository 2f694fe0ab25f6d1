"""`python -m mcp_servers.knowledge`: the server as a process, over stdio or HTTP as its configuration says."""

import logging
import sys

import structlog

from knowledge.service import KnowledgeService
from mcp_servers.hosting import Caller, read_config, serve
from mcp_servers.knowledge.desk import IngestDesk
from mcp_servers.knowledge.server import build_server
from mcp_servers.knowledge.settings import KnowledgeServerSettings
from signalbox.errors import SignalboxError


def main() -> None:
    """Run until the client goes away."""
    # On stdio the protocol owns standard output.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    config = read_config(KnowledgeServerSettings)
    try:
        service = KnowledgeService(config.settings.knowledge.retrieval, config.settings.data_dir)
        service.claim()
    except SignalboxError as error:
        raise SystemExit(str(error)) from error
    serve(build_server(service, Caller(config), IngestDesk(service, config.settings.knowledge.ingest)), config)


if __name__ == "__main__":
    main()
