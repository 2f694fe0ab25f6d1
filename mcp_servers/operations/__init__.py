"""What does the organisation's database say? Named metrics, and guarded SELECTs for models that write SQL.

Exports: `OperationsSettings`, `OperationsService`, `build_server`. Start it with `python -m mcp_servers.operations`.
"""

from mcp_servers.operations.settings import OperationsSettings

__all__ = ["OperationsSettings"]
