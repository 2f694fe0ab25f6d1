"""Operations of an HTTP service as tools of the bus: allow-listed, to one address, bounded, behind the same filters."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import structlog
from yarl import URL

from signalbox.errors import SignalboxError, ToolFault, UpstreamDown, UserFault
from toolbus.gate import CallGate, NotUp, Unanswered
from toolbus.netguard import check_host, guarded_session
from toolbus.openapi_document import Operation, operations, parse
from toolbus.settings import OpenApiSpec, ToolBusSettings
from toolbus.sources import OnListed, SourceCall, SourceResult

_log = structlog.get_logger(__name__)
_MAX_DOCUMENT_BYTES = 8 * 1024 * 1024
_READ_FACTOR = 4


class OpenApiSource:
    """One service. There is no connection to keep: a call that fails says so, the circuit breaker remembers."""

    def __init__(self, spec: OpenApiSpec, settings: ToolBusSettings) -> None:
        self._spec = spec
        self._settings = settings
        self._gate = CallGate(spec.name, settings)
        self._operations: dict[str, Operation] = {}
        self._session: aiohttp.ClientSession | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._trouble = "starting"

    @property
    def name(self) -> str:
        """The first part of its tools' names."""
        return self._spec.name

    @property
    def ours(self) -> bool:
        """Never: it gets no token and knows no dry run."""
        return False

    @property
    def auto_approve(self) -> bool:
        """Whether the listing in the settings is its review."""
        return self._spec.auto_approve

    @property
    def call_timeout_s(self) -> float | None:
        """Its own limit for one call."""
        return self._spec.call_timeout_s

    @property
    def restarts(self) -> int:
        """There is no connection that could be lost."""
        return 0

    def is_offering(self) -> bool:
        """Whether its tools are known and its circuit is closed."""
        return not self._trouble and not self._gate.trouble

    def status(self) -> str:
        """`up`, or what is wrong."""
        return self._trouble or self._gate.trouble or "up"

    async def start(self, on_listed: OnListed) -> None:
        """Read the description; while it cannot be used that is the source's status, and it is looked at again."""
        if not await self._opened(on_listed):
            self._retrying = asyncio.create_task(self._keep_trying(on_listed), name=f"openapi {self.name}")

    async def _keep_trying(self, on_listed: OnListed) -> None:
        while True:
            await asyncio.sleep(self._settings.restart_backoff_max_s)
            if await self._opened(on_listed):
                return

    async def _opened(self, on_listed: OnListed) -> bool:
        try:
            check_host(urlsplit(self._spec.base_url).hostname or "", allow_private=self._spec.allow_private)
            document = parse(await self._document(), self.name)
            self._operations = operations(document, self._spec.operations, self.name)
        except SignalboxError as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                _log.warning("openapi.unusable", source=self.name, reason=self._trouble)
            return False
        headers = {name: value.get_secret_value() for name, value in self._spec.headers.items()}
        timeout_s = self._spec.call_timeout_s or self._settings.call_timeout_s
        self._session = guarded_session(
            allow_private=self._spec.allow_private, headers=headers, timeout_s=max(timeout_s, 1)
        )
        self._trouble = ""
        on_listed(self, [operation.tool for operation in self._operations.values()])
        return True

    async def close(self) -> None:
        """Close idle connections."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait([self._retrying])
        if self._session is not None:
            await self._session.close()
        self._trouble = "stopped"

    async def call(self, call: SourceCall) -> SourceResult:
        """One request and its reply."""
        return await self._gate.run(call, lambda: self._request(call))

    async def _request(self, call: SourceCall) -> SourceResult:
        session, operation = self._session, self._operations.get(call.tool)
        if session is None or operation is None:
            raise NotUp(f"The service {self.name!r} is not available: {self.status()}.")
        url, query, headers, body = self._compose(operation, call)
        try:
            async with session.request(
                operation.method,
                URL(url, encoded=True),
                params=query,
                headers=headers,
                json=body,
                allow_redirects=False,
            ) as response:
                return await self._reply(response)
        except UserFault as error:
            raise ToolFault(str(error)) from error
        except aiohttp.ClientConnectorError as error:
            raise UpstreamDown(f"The service {self.name!r} cannot be reached: {error.strerror or error}.") from error
        except aiohttp.ClientError as error:
            unknown = "" if call.replayable else "; the outcome is unknown"
            raise Unanswered(f"The request to {self.name!r} broke off ({type(error).__name__}){unknown}.") from error

    def _compose(
        self, operation: Operation, call: SourceCall
    ) -> tuple[str, list[tuple[str, str]], dict[str, str], Any]:
        path, query, headers, body = operation.path, [], {}, None
        for argument, value in call.arguments.items():
            place, wire_name = operation.places[argument]
            if place == "body":
                body = value
            elif place == "path":
                path = path.replace(f"{{{wire_name}}}", _segment(wire_name, value))
            elif place == "header":
                headers[wire_name] = _plain(value).replace("\r", " ").replace("\n", " ")
            else:
                values = value if isinstance(value, list) else [value]
                query += [(wire_name, _plain(item)) for item in values]
        if call.idempotency_key and not operation.tool.read_only:
            headers["Idempotency-Key"] = call.idempotency_key
        return self._spec.base_url.rstrip("/") + path, query, headers, body

    async def _reply(self, response: aiohttp.ClientResponse) -> SourceResult:
        limit = self._settings.max_result_bytes * _READ_FACTOR
        raw = await _bounded(response, limit)
        kind = response.content_type
        if kind == "application/json" or kind.endswith("+json"):
            try:
                value = json.loads(raw)
            except ValueError:
                value = None
            else:
                structured = value if isinstance(value, dict) else {"result": value}
                return SourceResult(json.dumps(value), structured, is_error=response.status >= 400)
        if 300 <= response.status < 400:
            return SourceResult(
                f"The service answered with a redirect ({response.status}), which is not followed.", is_error=True
            )
        text = raw.decode(response.charset or "utf-8", "replace") if _is_text(kind) else f"[{len(raw)} bytes of {kind}]"
        return SourceResult(text or f"Status {response.status}.", is_error=response.status >= 400)

    async def _document(self) -> str:
        source = self._spec.document
        if not source.startswith(("http://", "https://")):
            try:
                return await asyncio.to_thread(Path(source).read_text, "utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UserFault(f"The OpenAPI description {source!r} cannot be read: {error}.") from error
        check_host(urlsplit(source).hostname or "", allow_private=self._spec.allow_private)
        session = guarded_session(
            allow_private=self._spec.allow_private, headers={}, timeout_s=self._settings.handshake_timeout_s
        )
        try:
            async with session, session.get(source, allow_redirects=False) as response:
                if response.status != 200:
                    raise UserFault(f"The OpenAPI description {source!r} answers with status {response.status}.")
                return (await _bounded(response, _MAX_DOCUMENT_BYTES)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UserFault(f"The OpenAPI description {source!r} cannot be fetched: {error}.") from error


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(64 * 1024):
        parts.append(part)
        size += len(part)
        if size >= limit:
            break
    return b"".join(parts)[:limit]


def _segment(name: str, value: Any) -> str:
    text = quote(_plain(value), safe="")
    if text in ("", ".", ".."):
        raise ToolFault(f"{name!r} cannot be {text!r}: it is part of the address.", hint="Give the id itself.")
    return text


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _is_text(kind: str) -> bool:
    return kind.startswith("text/") or kind in ("application/xml", "application/problem+json", "application/yaml")
