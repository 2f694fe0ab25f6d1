"""`resources/list` for the one who asks: the documents that this caller may see, a page at a time."""

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, ListResourcesResult, Resource

from knowledge.service import KnowledgeService
from mcp_servers.hosting import Caller
from mcp_servers.knowledge.cursor import decode_cursor, encode_cursor, name_of, place_of
from signalbox.errors import NotAuthenticated, SignalboxError

_PAGE = 100


class DocumentListing:
    """Middleware, since the SDK's own list is the same for every caller."""

    def __init__(self, service: KnowledgeService, caller: Caller) -> None:
        self._service = service
        self._caller = caller

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "resources/list":
            return await call_next(ctx)
        cursor = str((ctx.params or {}).get("cursor") or "")
        try:
            return await self._page(Context(request_context=ctx), cursor)
        except NotAuthenticated:
            return ListResourcesResult(resources=[])  # a list for nobody in particular shows nothing in particular
        except SignalboxError as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from error

    async def _page(self, context: Context, cursor: str) -> ListResourcesResult:
        principal = self._caller.chain(context).principal
        after = place_of(decode_cursor(cursor, "resources")) if cursor else ("", "")
        found = await self._service.documents(principal, limit=_PAGE + 1, after=after)
        resources = [
            Resource(
                uri=f"knowledge://documents/{item.document_id}",
                name=item.document,
                title=item.title,
                description=item.summary[:300] or None,
                mime_type="text/plain",
            )
            for item in found[:_PAGE]
        ]
        following = encode_cursor(name_of(found[_PAGE - 1]), "resources") if len(found) > _PAGE else None
        return ListResourcesResult(resources=resources, next_cursor=following)
