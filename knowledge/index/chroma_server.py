"""A client of a Chroma server: greeted first, bounded in time, and closed with all of its connections."""

import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx

from knowledge.settings import ChromaSettings
from signalbox.errors import ToolFault, UpstreamDown

_CONNECT_S = 5.0  # a server that is there takes a connection at once


def connect(settings: ChromaSettings) -> Any:
    """A client none of whose requests waits longer than `timeout_s`; raises `UpstreamDown` where nobody answers."""
    _greet(settings)
    try:
        return _client_of(settings)
    except ValueError as error:  # Chroma's own word for "cannot connect"
        raise UpstreamDown(f"Chroma at {settings.url!r} does not answer: {error}", hint="Is it running?") from error
    except ImportError as error:
        raise ToolFault(f"Chroma cannot be loaded: {error}") from error


def let_go(client: Any) -> None:
    """Close a client, and the connections to a server that chromadb 1.5 leaves open."""
    servers = [part._server for part in (client, client._admin_client)]
    client.close()
    for server in servers:
        if session := getattr(server, "_session", None):
            session.close()


def _client_of(settings: ChromaSettings) -> Any:
    from chromadb.api.client import Client
    from chromadb.auth import UserIdentity
    from chromadb.config import Settings

    limit = _limit(settings)

    class Bounded(Client):
        """chromadb 1.5 makes its HTTP clients without a timeout, and asks with them while it is constructed.

        These two are called before each of them asks for the first time
        (`test_a_server_that_greets_and_falls_silent_holds_nobody_up`).
        """

        def get_user_identity(self) -> UserIdentity:
            _bound(self._server, limit)
            return super().get_user_identity()

        def _validate_tenant_database(self, tenant: str, database: str) -> None:
            _bound(self._admin_client, limit)
            super()._validate_tenant_database(tenant, database)

    address = urlsplit(settings.url)
    secure = address.scheme == "https"
    return Bounded(
        settings=Settings(
            anonymized_telemetry=False,
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=address.hostname or "127.0.0.1",
            chroma_server_http_port=address.port or (443 if secure else 8000),
            chroma_server_ssl_enabled=secure,
            chroma_server_ssl_verify=str(settings.ca_file) if settings.ca_file else True,
            chroma_server_headers=_headers(settings),
        )
    )


def _bound(owner: Any, limit: httpx.Timeout) -> None:
    """Give the HTTP client of a server, or of an admin client's server, its timeouts."""
    getattr(owner, "_server", owner)._session.timeout = limit


def _greet(settings: ChromaSettings) -> None:
    """Raise what is wrong with a server in our words, before chromadb makes a client that it could not close."""
    verify = ssl.create_default_context(cafile=str(settings.ca_file)) if settings.ca_file else True
    try:
        with httpx.Client(headers=_headers(settings), verify=verify, timeout=_limit(settings)) as client:
            answer = client.get(f"{settings.url.rstrip('/')}/api/v2/heartbeat")
    except httpx.TransportError as error:
        raise UpstreamDown(f"Chroma at {settings.url!r} does not answer: {error}", hint="Is it running?") from error
    if answer.status_code in (401, 403):
        raise UpstreamDown(f"Chroma at {settings.url!r} refuses us.", hint="Is the token in chroma.headers right?")
    if not answer.is_success:
        raise UpstreamDown(f"Chroma at {settings.url!r} answers {answer.status_code}.")


def _limit(settings: ChromaSettings) -> httpx.Timeout:
    return httpx.Timeout(settings.timeout_s, connect=min(_CONNECT_S, settings.timeout_s))


def _headers(settings: ChromaSettings) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in settings.headers.items()}
