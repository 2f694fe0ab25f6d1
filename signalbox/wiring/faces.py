"""The faces beside the OpenAI API: A2A for other agents, MCP for IDE and desktop clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from a2a_bridge.card import build_card
from a2a_bridge.executor import TurnExecutor
from a2a_bridge.server import A2AFace
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.routing import BaseRoute

from agents.contracts import Specialist, TurnRunner
from agents.specialists.roster import load_specialists
from conversations.contracts import ConversationStore
from mcp_servers.assistant.local import DocumentSearch, LocalAssistant
from mcp_servers.assistant.mounted import AssistantEndpoint
from mcp_servers.assistant.server import build_server
from runs.approvals import Approvals
from signalbox import __version__
from signalbox.settings import Settings
from signalbox.wiring.actions import ApprovalDecider


class Faces:
    """Their routes, and what must run while they are served."""

    def __init__(
        self,
        settings: Settings,
        turns: TurnRunner,
        conversations: ConversationStore,
        approvals: Approvals,
        documents: DocumentSearch,
        engine: AsyncEngine,
    ) -> None:
        hosts = [f"{host}:*" for host in ("127.0.0.1", "localhost", settings.gateway.host)]
        self._assistant = AssistantEndpoint(
            build_server(LocalAssistant(turns, documents), version=__version__), allowed_hosts=hosts
        )
        self._a2a: A2AFace | None = None
        if settings.a2a.enabled:
            specialists: list[Specialist] = list(load_specialists(settings.agents))
            url = settings.a2a.public_url or settings.base_url
            card = build_card(settings.a2a, base_url=url, version=__version__, specialists=specialists)
            executor = TurnExecutor(turns, conversations, ApprovalDecider(approvals))
            self._a2a = A2AFace(card, executor, engine=engine)

    def routes(self) -> list[BaseRoute]:
        """Everything to mount on the gateway's app."""
        return [*self._assistant.routes(), *(self._a2a.routes() if self._a2a else [])]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open for as long as the gateway serves."""
        if self._a2a:
            await self._a2a.start()
        try:
            async with self._assistant.running():
                yield
        finally:
            if self._a2a:
                await self._a2a.close()
