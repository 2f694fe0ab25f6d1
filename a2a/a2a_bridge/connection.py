"""The way to one remote agent: to the origin that the operator named and nowhere else, and never without end.

Its card must live on that origin and may point nowhere else; redirects are not followed, proxies of the environment do
not count, and a reply is read up to a limit.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import cast
from urllib.parse import urlsplit

import httpx
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.types import AgentCard
from a2a.utils.errors import A2AError

from a2a_bridge.settings import RemoteAgent
from signalbox.errors import ToolFault, UpstreamDown

_CARD_TIMEOUT_S = 5.0
_MAX_REPLY_BYTES = 16 * 1024 * 1024
_BINDINGS = ["JSONRPC", "HTTP+JSON"]


class RemoteConnection:
    """Connections to one remote agent, made when they are first needed."""

    def __init__(self, remote: RemoteAgent) -> None:
        self._remote = remote
        headers = {"Accept-Encoding": "identity"}
        if remote.token:
            headers["Authorization"] = f"Bearer {remote.token.get_secret_value()}"
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(remote.timeout_s, connect=_CARD_TIMEOUT_S),
            transport=_BoundedTransport(trust_env=False),
            trust_env=False,
        )

    async def card(self) -> AgentCard:
        """Its card as it is now; raises `UpstreamDown` or `ToolFault`, whose message is the agent's status."""
        try:
            async with asyncio.timeout(_CARD_TIMEOUT_S):
                card = await A2ACardResolver(self._http, self._remote.url).get_agent_card()
        except (A2AError, httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            raise UpstreamDown("it does not show its card") from error
        self._check(card)
        return card

    def client(self, card: AgentCard) -> Client:
        """A client for the first interface of the card that we speak; raises `ToolFault` where there is none."""
        config = ClientConfig(httpx_client=self._http, supported_protocol_bindings=_BINDINGS)
        try:
            return ClientFactory(config).create(card)
        except ValueError as error:
            raise ToolFault(f"it speaks none of {', '.join(_BINDINGS)}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _check(self, card: AgentCard) -> None:
        wanted = urlsplit(self._remote.url)
        for interface in card.supported_interfaces:
            offered = urlsplit(interface.url)
            if interface.protocol_binding in _BINDINGS and (offered.scheme, offered.netloc) != (
                wanted.scheme,
                wanted.netloc,
            ):
                raise ToolFault(f"its card points to {interface.url[:200]!r}, another origin than {wanted.netloc!r}")


class _BoundedTransport(httpx.AsyncHTTPTransport):
    """Ends a reply that is larger than anybody reads; a compressed one would be larger than it looks."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx.DecodingError("a compressed reply, which nobody asked for", request=request)
        response.stream = _BoundedStream(cast(httpx.AsyncByteStream, response.stream), request)
        return response


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, request: httpx.Request) -> None:
        self._inner = inner
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = _MAX_REPLY_BYTES
        async for part in self._inner:
            left -= len(part)
            if left < 0:
                raise httpx.ReadError(f"more than {_MAX_REPLY_BYTES} bytes", request=self._request)
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
