"""The operations server's tools, described for the model that chooses them."""

import json
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.types import ToolAnnotations
from pydantic import Field

from mcp_servers.faults import told
from mcp_servers.hosting import Caller
from mcp_servers.operations.models import MetricList, Table, TableList
from mcp_servers.operations.schema import query_schema
from mcp_servers.operations.service import OperationsService
from signalbox.errors import UserFault

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


def build_server(service: OperationsService, caller: Caller) -> MCPServer[Any]:
    """The MCP server over an open service."""
    about = service.catalogue.description
    server: MCPServer[Any] = MCPServer(
        "operations",
        version="0.1.0",
        instructions=f"{about} Ask query_metric first; write SQL with run_select only when no metric fits.",
        log_level="WARNING",
    )
    _add_metrics(server, service, caller)
    _add_tables(server, service, caller)
    return server


def _add_metrics(server: MCPServer[Any], service: OperationsService, caller: Caller) -> None:
    about = service.catalogue.description

    @server.tool(annotations=READS, title="List metrics")
    @told
    async def list_metrics(
        context: Context[Any, Any],
        topic: Annotated[
            str | None, Field(description=f"One of: {', '.join(service.catalogue.topics)}. All when left out.")
        ] = None,
    ) -> MetricList:
        """List the figures that query_metric can answer: name, meaning, parameters with accepted values, examples."""
        return service.list_metrics(caller.chain(context).principal, topic)

    @told
    async def query_metric(context: Context[Any, Any], query: Any, cursor: str | None = None) -> Table:
        return await service.query_metric(caller.chain(context).principal, _as_query(query), cursor)

    tool = Tool.from_function(
        query_metric,
        title="Query a metric",
        annotations=READS,
        structured_output=True,
        description=f"Ask the operations database for one figure or list. {about} Choose the metric and fill only the "
        "parameters that the question names. Returns typed rows with units, a one-sentence summary and the SQL used.",
    )
    tool.parameters = query_schema(service.catalogue, service.choices)
    server._tool_manager._tools[tool.name] = tool


def _add_tables(server: MCPServer[Any], service: OperationsService, caller: Caller) -> None:
    @server.tool(annotations=READS, title="Describe tables")
    @told
    async def describe_tables(context: Context[Any, Any]) -> TableList:
        """Describe the tables and columns that run_select reads, with meaning and units. Call it before writing SQL."""
        return service.describe_tables(caller.chain(context).principal)

    @server.tool(annotations=READS, title="Run a SELECT")
    @told
    async def run_select(
        context: Context[Any, Any],
        sql: Annotated[
            str,
            Field(
                description="One SELECT over the tables of describe_tables; no parameters, no schema names.",
                examples=[
                    "SELECT site, COUNT(*) AS late FROM deliveries WHERE received_on > promised_on GROUP BY site"
                ],
            ),
        ],
        cursor: Annotated[str | None, Field(description="next_cursor of an earlier result of the same SELECT.")] = None,
    ) -> Table:
        """Read the operations database with a SQL SELECT of your own, when no metric of query_metric answers.

        Only reading is possible. Aggregate in SQL instead of fetching many rows.
        """
        return await service.run_select(caller.chain(context).principal, sql, cursor)


def _as_query(query: Any) -> dict[str, Any]:
    # Some models write the object as a JSON string.
    if isinstance(query, str):
        try:
            query = json.loads(query)
        except ValueError as error:
            raise UserFault("`query` is not an object.", hint='Send {"metric": "...", ...}.', param="query") from error
    if not isinstance(query, dict):
        raise UserFault("`query` is not an object.", hint='Send {"metric": "...", ...}.', param="query")
    return query
