"""Tools for operators: they change what everybody finds, and need the scope `admin`."""

from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

from knowledge.contracts import AccessRule
from knowledge.ingest import IngestReport
from knowledge.service import KnowledgeService
from mcp_servers.faults import told_to_tools
from mcp_servers.hosting import Caller
from mcp_servers.knowledge import models as m
from mcp_servers.knowledge.desk import FolderRequest, IngestDesk
from mcp_servers.knowledge.progress import ProgressRelay
from signalbox.errors import NotAllowed, NotFound, UserFault
from signalbox.identity import Principal

SCOPE = "admin"
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
MENDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
SWITCHES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)


class OperatingTools:
    """Ingest, remove, check, build anew, go back."""

    def __init__(self, service: KnowledgeService, caller: Caller, desk: IngestDesk) -> None:
        self._service = service
        self._caller = caller
        self._desk = desk

    def register(self, server: MCPServer[Any]) -> None:
        """Add the tools to a server."""
        server.add_tool(self.ingest_folder, annotations=CHANGES, structured_output=True)
        server.add_tool(self.remove_source, annotations=CHANGES, structured_output=True)
        server.add_tool(self.check_index, annotations=MENDS, structured_output=True)
        server.add_tool(self.rebuild_index, annotations=SWITCHES, structured_output=True)
        server.add_tool(self.roll_back_index, annotations=SWITCHES, structured_output=True)

    async def ingest_folder(
        self,
        context: Context,
        path: Annotated[str, Field(description="Absolute path of a folder on the server's machine.")],
        access: Annotated[list[str], Field(min_length=1, description="Who may see it: everyone, group:X or user:X.")],
        name: Annotated[str, Field(max_length=200, description="Name of the source; the path by default.")] = "",
        dry_run: Annotated[bool, Field(description="Read and parse, change nothing.")] = False,
    ) -> IngestReport:
        """Take a folder of documents into the knowledge base, or bring what was taken before up to date."""
        with told_to_tools():
            principal = self._operator(context)
            rule = AccessRule(allow=frozenset(_subject(subject) for subject in access))
            dry_run = dry_run or self._caller.call(context).dry_run
            folder = Path(path)
            if not folder.is_absolute():
                raise UserFault(f"{path!r} is not an absolute path.", param="path")
            async with ProgressRelay(context).running() as relay:
                request = FolderRequest(folder, name, rule)
                return await self._desk.ingest_folder(
                    request, tenant=principal.tenant, dry_run=dry_run, on_progress=relay
                )

    async def remove_source(
        self, context: Context, name: Annotated[str, Field(min_length=1, description="As list_sources shows it.")]
    ) -> m.Removed:
        """Forget a source with all its documents, passages and vectors."""
        with told_to_tools():
            tenant = self._operator(context).tenant
            if self._caller.call(context).dry_run:
                count = len(await self._desk.documents_of(name, tenant=tenant))
                return m.Removed(source=name, documents=count, summary=f"Would remove {count} documents of {name!r}.")
            count = await self._desk.remove_source(name, tenant=tenant)
            if not count:
                raise NotFound(f"There is no source {name!r}.", hint="list_sources shows what there is.")
        return m.Removed(source=name, documents=count, summary=f"Removed {count} documents of {name!r}.")

    async def check_index(self, context: Context) -> m.Health:
        """Compare the search indexes with the record, and mend what differs."""
        with told_to_tools():
            self._operator(context)
            report = await self._service.check()
        return m.health_of(report)

    async def rebuild_index(self, context: Context) -> m.ServingIndex:
        """Build the index of vectors anew beside the one that serves, then serve from it; the old one is kept."""
        with told_to_tools():
            tenant = self._operator(context).tenant
            if self._caller.call(context).dry_run:
                alias = await self._service.index(tenant)
                return m.serving_of(alias, f"Would build an index beside {alias.current} and switch to it.")
            alias = await self._service.rebuild(tenant)
        return m.serving_of(alias)

    async def roll_back_index(self, context: Context) -> m.ServingIndex:
        """Serve from the index of vectors before the last switch, brought up to date. Done twice, it is as it was."""
        with told_to_tools():
            tenant = self._operator(context).tenant
            if self._caller.call(context).dry_run:
                alias = await self._service.way_back(tenant)
                return m.serving_of(alias, f"Would serve from {alias.previous} again.")
            alias = await self._service.roll_back(tenant)
        return m.serving_of(alias)

    def _operator(self, context: Context) -> Principal:
        principal = self._caller.chain(context).principal
        if SCOPE not in principal.scopes:
            raise NotAllowed(f"{principal.user!r} may not do this.", hint=f"It needs the scope {SCOPE!r}.")
        return principal


def _subject(name: str) -> str:
    if name != "everyone" and not name.startswith(("user:", "group:")):
        raise UserFault(f"{name!r} is no subject.", hint="Write everyone, user:NAME or group:NAME.", param="access")
    return name
