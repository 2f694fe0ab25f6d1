"""Signalbox itself as an MCP server, for IDEs and desktop clients: ask it, or search its documents.

`build_server` is the server; `mounted` puts it behind API keys on the gateway; `relay` is the stdio twin for
clients that only launch commands.
"""
