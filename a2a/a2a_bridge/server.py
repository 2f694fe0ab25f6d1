"""The routes of the A2A face: the card, JSON-RPC, HTTP+JSON. The app that mounts them authenticates."""

from a2a.server.cluster import DatabaseTaskEventStream, VersionedDatabaseTaskStore
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.types import AgentCard
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from a2a_bridge.card import JSONRPC_PATH, REST_PATH
from a2a_bridge.executor import TurnExecutor
from a2a_bridge.identity import JsonOnly, PrincipalContextBuilder

_PREFIX = "/a2a"


class A2AFace:
    """Signalbox as an A2A 1.0 agent; tasks live in the database, so they survive a restart."""

    def __init__(self, card: AgentCard, executor: TurnExecutor, *, engine: AsyncEngine) -> None:
        self._card = card
        self._store = VersionedDatabaseTaskStore(engine)
        self._stream = DatabaseTaskEventStream(engine)
        self._handler = DefaultRequestHandler(
            agent_executor=executor,
            task_store=self._store,
            agent_card=card,
            event_stream=self._stream,
            validate_input_modes=True,
        )

    def routes(self) -> list[BaseRoute]:
        """The card's routes, and one mount under `/a2a`."""
        builder = PrincipalContextBuilder()
        rpc, rest = JSONRPC_PATH.removeprefix(_PREFIX), REST_PATH.removeprefix(_PREFIX)
        inner = Starlette(
            routes=[
                *create_jsonrpc_routes(self._handler, rpc, context_builder=builder),
                # Clients that treat the interface's URL as a folder post to it with a trailing slash.
                *create_jsonrpc_routes(self._handler, f"{rpc}/", context_builder=builder),
                *create_rest_routes(self._handler, context_builder=builder, path_prefix=rest),
            ]
        )
        cards = create_agent_card_routes(self._card, cache_control="public, max-age=60")
        return [*cards, Mount(_PREFIX, app=JsonOnly(inner))]

    async def start(self) -> None:
        """Make the tables; a2a-sdk 1.3.0 does not make `task_versions` on first use."""
        await self._store.initialize()
        await self._stream.initialize()

    async def close(self) -> None:
        """End what still runs."""
        await self._handler.aclose()
