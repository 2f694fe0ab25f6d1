"""What may Signalbox do for somebody? Tickets, people, messages: done once, previewed exactly, undone if possible.

Exports: `DeskSettings`. Start it with `python -m mcp_servers.desk`.
"""

from mcp_servers.desk.settings import DeskSettings

__all__ = ["DeskSettings"]
