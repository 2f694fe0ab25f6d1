"""Another organisation's agent as an AutoGen agent: one message out, its answer in, cancelled when we are.

Its card must live on the origin that the operator named, and may point nowhere else; redirects are not followed.
What it says is data for the run, never an instruction.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from urllib.parse import urlsplit

import httpx
import structlog
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError
from a2a.helpers import get_stream_response_text, new_text_message
from a2a.types import AgentCard, CancelTaskRequest, Role, SendMessageRequest, TaskState
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_core import CancellationToken

from a2a_bridge.settings import RemoteAgent
from signalbox.errors import ToolFault, UpstreamDown

_log = structlog.get_logger(__name__)
_CARD_TIMEOUT_S = 5.0
_CANCEL_TIMEOUT_S = 3.0
_NAME_TIMEOUT_S = 0.7
_COOL_DOWN_S = 30.0
_MAX_ANSWER_CHARS = 64_000
_BINDINGS = ["JSONRPC", "HTTP+JSON"]
_UNFINISHED = {
    TaskState.TASK_STATE_FAILED: "failed",
    TaskState.TASK_STATE_REJECTED: "declined the task",
    TaskState.TASK_STATE_CANCELED: "cancelled the task",
    TaskState.TASK_STATE_INPUT_REQUIRED: "asks for more than this step can give",
    TaskState.TASK_STATE_AUTH_REQUIRED: "asks for other credentials",
}


class RemoteConnection:
    """The card and the client of one remote agent; connections are made when they are first needed."""

    def __init__(self, name: str, settings: RemoteAgent) -> None:
        self._name = name
        self._settings = settings
        headers = {"Authorization": f"Bearer {settings.token.get_secret_value()}"} if settings.token else {}
        self._http = httpx.AsyncClient(
            headers=headers, timeout=httpx.Timeout(settings.timeout_s, connect=_CARD_TIMEOUT_S), trust_env=False
        )
        self._card: AgentCard | None = None
        self._failed_at = -math.inf

    def health(self) -> str:
        """`up`, or that it did not answer a short while ago: then plans leave it out where others can do the work."""
        return "up" if time.monotonic() - self._failed_at > _COOL_DOWN_S else "did not answer a moment ago"

    def noted(self, *, answered: bool) -> None:
        """Whether it answered when it was asked just now."""
        self._failed_at = -math.inf if answered else time.monotonic()

    async def card(self) -> AgentCard:
        """Its card, fetched once; raises `UpstreamDown` or `ToolFault`."""
        if self._card is None:
            try:
                async with asyncio.timeout(_CARD_TIMEOUT_S):
                    card = await A2ACardResolver(self._http, self._settings.url).get_agent_card()
            except (A2AClientError, httpx.HTTPError, TimeoutError) as error:
                self.noted(answered=False)
                raise UpstreamDown(
                    f"The remote agent {self._name!r} at {self._settings.url!r} does not show its card.",
                    hint="Check a2a.agents in the settings.",
                ) from error
            self._check(card)
            self._card = card
        return self._card

    async def client(self) -> Client:
        """A client for its first interface that we speak."""
        config = ClientConfig(httpx_client=self._http, supported_protocol_bindings=_BINDINGS)
        return ClientFactory(config).create(await self.card())

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _check(self, card: AgentCard) -> None:
        wanted = urlsplit(self._settings.url)
        for interface in card.supported_interfaces:
            offered = urlsplit(interface.url)
            if interface.protocol_binding in _BINDINGS and (offered.scheme, offered.netloc) != (
                wanted.scheme,
                wanted.netloc,
            ):
                raise ToolFault(
                    f"The card of {self._name!r} points to {interface.url!r}, another origin than {wanted.netloc!r}.",
                    hint="Nothing was sent. Set a2a.agents.*.url to the origin that really serves the agent.",
                )


class RemoteChatAgent(BaseChatAgent):
    """One exchange with a remote agent."""

    def __init__(self, name: str, connection: RemoteConnection, timeout_s: float) -> None:
        super().__init__(name, "An agent of another organisation.")
        self._connection = connection
        self._timeout_s = timeout_s

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """Text only."""
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """The remote agent's whole answer."""
        async with aclosing(self.on_messages_stream(messages, cancellation_token)) as stream:
            async for item in stream:
                if isinstance(item, Response):
                    return item
        raise ToolFault(f"{self.name!r} ended without an answer.")

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """Send the last message; the answer comes as one response."""
        exchange = asyncio.ensure_future(self._exchange(messages[-1].to_model_text()))
        cancellation_token.link_future(exchange)
        try:
            text = await exchange
        finally:
            exchange.cancel()
        yield Response(chat_message=TextMessage(content=text, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing is kept between messages."""

    async def _exchange(self, text: str) -> str:
        client = await self._connection.client()
        heard = _Heard()
        listening = asyncio.ensure_future(self._listen(client, text, heard))
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.shield(listening)
        except TimeoutError as error:
            self._connection.noted(answered=False)
            await _give_up(client, listening, heard)
            raise UpstreamDown(f"The remote agent {self.name!r} did not answer in {self._timeout_s:g} s.") from error
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(_give_up(client, listening, heard)))
            raise
        except (A2AClientError, httpx.HTTPError) as error:
            self._connection.noted(answered=False)
            raise UpstreamDown(f"The remote agent {self.name!r} broke off: {type(error).__name__}.") from error
        self._connection.noted(answered=True)
        answer = "".join(heard.parts).strip()
        if not answer:
            raise ToolFault(f"The remote agent {self.name!r} ended without an answer.")
        return answer[:_MAX_ANSWER_CHARS]

    async def _listen(self, client: Client, text: str, heard: "_Heard") -> None:
        request = SendMessageRequest(message=new_text_message(text, role=Role.ROLE_USER))
        async for event in client.send_message(request):
            if event.HasField("task"):
                heard.task(event.task.id)
            if event.HasField("status_update") and event.status_update.status.state in _UNFINISHED:
                how = _UNFINISHED[event.status_update.status.state]
                raise ToolFault(f"The remote agent {self.name!r} {how}.")
            if event.HasField("artifact_update") or event.HasField("message"):
                heard.parts.append(get_stream_response_text(event) or "")


class _Heard:
    """What came back so far."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.task_id = ""
        self.named = asyncio.Event()

    def task(self, task_id: str) -> None:
        """The agent said by which id it knows our task."""
        self.task_id = task_id
        self.named.set()


async def _give_up(client: Client, listening: "asyncio.Future[None]", heard: _Heard) -> None:
    """Cancel the task over there. Who hangs up before it has a name leaves it running: so wait for that a little."""
    if not heard.task_id and not listening.done():
        naming = asyncio.ensure_future(heard.named.wait())
        await asyncio.wait([naming, listening], timeout=_NAME_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        naming.cancel()
    await _cancel(client, heard.task_id)
    listening.cancel()
    await asyncio.wait([listening], timeout=_NAME_TIMEOUT_S)
    if listening.done() and not listening.cancelled():
        listening.exception()  # seen


async def _cancel(client: Client, task_id: str) -> None:
    if not task_id:
        return
    try:
        async with asyncio.timeout(_CANCEL_TIMEOUT_S):
            await client.cancel_task(CancelTaskRequest(id=task_id))
    except (A2AClientError, httpx.HTTPError, TimeoutError) as error:
        _log.warning("a2a.cancel_failed", task=task_id, error=type(error).__name__)
