"""The MCP servers that come with Signalbox, each a process of its own: knowledge, operations, desk.

`mcp_servers.hosting` is what they share: configuration handed over by the supervisor, who is asking, and the
choice between stdio and streamable HTTP. `mcp_servers.assistant` is Signalbox itself for IDE and desktop clients.
"""
