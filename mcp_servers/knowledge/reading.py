"""Tools and resources for everybody: each call sees exactly what its caller may see."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.types import ToolAnnotations
from pydantic import Field

from knowledge.service import KnowledgeService
from mcp_servers.faults import told_to_resources, told_to_tools
from mcp_servers.hosting import Caller
from mcp_servers.knowledge import models as m
from mcp_servers.knowledge.cursor import decode_cursor, encode_cursor, name_of, place_of
from signalbox.identity import Principal

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_DOCUMENTS_A_PAGE = 100
_RESOURCE_CHARACTERS = 200_000
Question = Annotated[str, Field(max_length=2_000)]


class ReadingTools:
    """Search, read, list; one object so that the tools share service and caller."""

    def __init__(self, service: KnowledgeService, caller: Caller) -> None:
        self._service = service
        self._caller = caller

    def register(self, server: MCPServer[Any]) -> None:
        """Add tools and resources to a server."""
        for tool in (self.search, self.read, self.list_sources, self.list_documents):
            server.add_tool(tool, annotations=READS, structured_output=True)
        server.resource(
            "knowledge://documents/{document_id}",
            name="document",
            title="Document",
            description=f"The text of a document that you may see, up to {_RESOURCE_CHARACTERS:,} characters.",
            mime_type="text/plain",
        )(self.document_resource)

    def principal(self, context: Context) -> Principal:
        """Who asks."""
        return self._caller.chain(context).principal

    async def search(
        self,
        context: Context,
        query: Annotated[Question, Field(min_length=1, description="The question, in full and alone.")],
        limit: Annotated[int, Field(ge=1, le=20)] = 6,
        also: Annotated[
            list[Question] | None,
            Field(max_length=4, description="The same question in other words; results are merged."),
        ] = None,
        filters: Annotated[m.SearchFilters | None, Field(description="What narrows the search.")] = None,
        cursor: Annotated[str, Field(description="next_cursor of the same search, for more passages.")] = "",
    ) -> m.SearchResult:
        """Find passages in the organisation's documents that answer a question.

        Returns verbatim passages, best first, each with the `ref` to cite it by. `answerable` below 0.5 means that
        the documents probably do not hold the answer.
        """
        narrowed = (filters or m.SearchFilters()).as_filters()
        queries = [text for text in (query, *(also or ())) if text.strip()]
        asked = [queries, narrowed.model_dump(mode="json")]
        with told_to_tools():
            principal = self.principal(context)
            offset = int(decode_cursor(cursor, asked)) if cursor else 0
            run_id = self._caller.call(context).run_id
            found = await self._service.search(principal, queries, narrowed, limit=limit, offset=offset, run_id=run_id)
        following = encode_cursor(offset + limit, asked) if found.more else None
        return m.SearchResult(
            evidence=m.evidence_of_hits(found.hits), answerable=found.answerable, next_cursor=following
        )

    async def read(
        self,
        context: Context,
        document: Annotated[m.Path, Field(description="Path or id of the document, as search returned it.")] = "",
        passage: Annotated[m.Label, Field(description="Instead: ref or chunk_id of a passage.")] = "",
        around: Annotated[int, Field(ge=0, le=10, description="Passages before and after it.")] = 1,
        start: Annotated[int, Field(ge=0, description="Character to read the document from.")] = 0,
        length: Annotated[int, Field(ge=100, le=20_000)] = 4_000,
    ) -> m.ReadResult:
        """Read a document, or the surroundings of a passage that search found."""
        with told_to_tools():
            principal = self.principal(context)
            if passage:
                near = await self._service.passage(principal, passage, around=around)
                document, start = near[0].document.document_id, near[0].chunk.start
                length = near[-1].chunk.end - start
            document_id = await self._service.resolve(principal, document)
            window = await self._service.read(principal, document_id, start=start, length=length)
            passages = await self._service.passages(principal, document_id, window.start, window.end)
        return m.ReadResult(
            document_id=document_id,
            document=window.document.document,
            title=window.document.title,
            uri=m.link(document_id),
            modified=m.modified_of(window.document),
            text=window.text,
            start=window.start,
            end=window.end,
            total_characters=window.length,
            next_start=window.end if window.end < window.length else None,
            evidence=m.evidence_of_passages(passages),
        )

    async def list_sources(self, context: Context) -> m.SourceList:
        """List the sources of documents, with how much of each you may see."""
        with told_to_tools():
            sources = await self._service.sources(self.principal(context))
        return m.SourceList(sources=[m.source_of(source) for source in sources])

    async def list_documents(
        self,
        context: Context,
        source: Annotated[m.Path, Field(description="Only of this source.")] = "",
        cursor: Annotated[str, Field(description="next_cursor of the list before.")] = "",
    ) -> m.DocumentList:
        """List documents by path, a hundred at a time."""
        with told_to_tools():
            after = place_of(decode_cursor(cursor, source)) if cursor else ("", "")
            limit = _DOCUMENTS_A_PAGE
            found = await self._service.documents(self.principal(context), source, limit=limit + 1, after=after)
        following = encode_cursor(name_of(found[limit - 1]), source) if len(found) > limit else None
        return m.DocumentList(documents=[m.entry_of(item) for item in found[:limit]], next_cursor=following)

    async def document_resource(self, document_id: str, context: Context) -> str:
        """The text of a document."""
        with told_to_resources():
            window = await self._service.read(self.principal(context), document_id, length=_RESOURCE_CHARACTERS)
        if window.end == window.length:
            return window.text
        # Said in the text, since a resource has no other place that every client shows.
        return (
            f"{window.text}\n\n[Cut here: the first {window.end:,} of {window.length:,} characters. "
            f"The tool `read` reads on: document={document_id}, start={window.end}.]"
        )
