"""Our errors as the SDK wants them: anticipated ones carry their message to the caller, others stay a crash."""

from collections.abc import Iterator
from contextlib import contextmanager

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError

from signalbox.errors import NotFound, SignalboxError


@contextmanager
def told_to_tools() -> Iterator[None]:
    """Within a tool: what failed and what to do reach the model."""
    try:
        yield
    except SignalboxError as error:
        raise ToolError(str(error)) from error


@contextmanager
def told_to_resources() -> Iterator[None]:
    """Within a resource: the same for readers."""
    try:
        yield
    except NotFound as error:
        raise ResourceNotFoundError(str(error)) from error
    except SignalboxError as error:
        raise ResourceError(str(error)) from error
