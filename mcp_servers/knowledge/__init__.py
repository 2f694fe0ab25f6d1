"""What do the organisation's documents say? Search, read and list them; operators ingest and remove.

Exports nothing heavy: `server.build_server` makes the server, `python -m mcp_servers.knowledge` runs it.
"""
