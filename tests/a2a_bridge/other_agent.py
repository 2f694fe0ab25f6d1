"""An agent of somebody else's making, on the SDK alone: it answers in the ways that Signalbox does not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import uvicorn
from a2a.helpers import new_task_from_user_message, new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part, TaskState
from a2a.utils.errors import InvalidParamsError
from starlette.applications import Starlette


@dataclass
class OtherExecutor(AgentExecutor):
    """Answers by what the message begins with."""

    cancelled: list[str] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        word = context.get_user_input().split()[0]
        self.message_ids.append(context.message.message_id)
        if word == "message":
            await event_queue.enqueue_event(new_text_message("Here at once."))
            return
        if word == "params":
            raise InvalidParamsError("That is no task for me.")
        await event_queue.enqueue_event(new_task_from_user_message(context.message))
        updater = TaskUpdater(event_queue, context.task_id or "", context.context_id or "")
        await updater.start_work()
        await self._work(word, updater)

    async def _work(self, word: str, updater: TaskUpdater) -> None:
        def says(text: str):
            return updater.new_agent_message([Part(text=text)])

        match word:
            case "question":
                await updater.requires_input(says("Which parcel do you mean? " + "Say it. " * 100))
            case "credentials":
                await updater.requires_auth(says("Sign in at the carrier."))
            case "reject":
                await updater.reject(says("Not on Sundays."))
            case "status":
                await updater.complete(says("It is in the status."))
            case "nothing":
                await updater.complete()
            case "twice":
                await updater.add_artifact([Part(text="First thoughts.")], artifact_id="a")
                await updater.add_artifact([Part(text="The answer")], artifact_id="a", append=False)
                await updater.add_artifact([Part(text=" in pieces.")], artifact_id="a", append=True)
                await updater.add_artifact([Part(text="And a second one.")], artifact_id="b")
                await updater.complete()
            case "progress":
                for at in range(20):
                    await updater.update_status(TaskState.TASK_STATE_WORKING, says(f"Looked at {at}."))
                await updater.complete(says("Looked."))
            case "flood":
                await updater.add_artifact([Part(text="x" * 20_000_000)], artifact_id="a")
                await updater.complete()
            case _:
                await asyncio.sleep(60)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        self.cancelled.append(context.task_id or "")
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()


def card_of(url: str, *, streaming: bool) -> AgentCard:
    return AgentCard(
        name="Carrier\u200b desk",
        description="Answers for the carrier.",
        version="1",
        supported_interfaces=[AgentInterface(protocol_binding="JSONRPC", protocol_version="1.0", url=f"{url}/rpc")],
        capabilities=AgentCapabilities(streaming=streaming),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[
            AgentSkill(id="t", name="Track", description="Finds parcels.", tags=["t"], examples=["Where is parcel 1?"])
        ],
    )


@contextlib.asynccontextmanager
async def other_agent(*, streaming: bool = True) -> AsyncIterator[tuple[str, OtherExecutor]]:
    """Where it listens, and its executor."""
    executor = OtherExecutor()
    config = uvicorn.Config(lambda: None, host="127.0.0.1", port=0, log_level="error", lifespan="off", http="h11")
    config.load()
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    card = card_of(url, streaming=streaming)
    handler = DefaultRequestHandler(agent_executor=executor, task_store=InMemoryTaskStore(), agent_card=card)
    config.loaded_app = Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/rpc")])
    serving = asyncio.create_task(server.serve([socket]))
    try:
        yield url, executor
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        await handler.aclose()
