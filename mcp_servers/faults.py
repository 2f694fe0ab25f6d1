"""Our errors as the SDK wants them: anticipated ones carry their message to the caller, others stay a crash."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError

from signalbox.errors import NotFound, SignalboxError

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def told_to_tools() -> Iterator[None]:
    """Within a tool: what failed and what to do reach the model."""
    try:
        yield
    except SignalboxError as error:
        raise ToolError(str(error)) from error


def told(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """A tool whose anticipated errors are text that a model can act on."""

    @wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with told_to_tools():
            return await function(*args, **kwargs)

    return call


@contextmanager
def told_to_resources() -> Iterator[None]:
    """Within a resource: the same for readers."""
    try:
        yield
    except NotFound as error:
        raise ResourceNotFoundError(str(error)) from error
    except SignalboxError as error:
        raise ResourceError(str(error)) from error
