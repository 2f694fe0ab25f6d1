"""Which kind of source a specification is."""

from signalbox.identity import TokenMint
from toolbus.settings import OpenApiSpec, ServerSpec, ToolBusSettings
from toolbus.sources import ToolSource


def make_source(spec: ServerSpec | OpenApiSpec, settings: ToolBusSettings, mint: TokenMint | None = None) -> ToolSource:
    """A source that is not started yet; what it needs is imported only now."""
    if isinstance(spec, OpenApiSpec):
        from toolbus.openapi import OpenApiSource

        return OpenApiSource(spec, settings)
    from toolbus.mcp_server import McpServerHandle

    return McpServerHandle(spec, settings, mint)
