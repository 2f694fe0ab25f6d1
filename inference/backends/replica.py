"""One model server: its connections, its key, its health, its breaker."""

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
import structlog
from pydantic import SecretStr
from yarl import URL

from inference.backends.breaker import Breaker
from inference.backends.credentials import KeySource, TlsSource
from inference.settings import BackendSettings, InferenceSettings
from inference.telemetry import InferenceMetrics
from signalbox.errors import UpstreamDown

_log = structlog.get_logger(__name__)
# uvicorn, and so vLLM, closes idle connections after 5 s: reusing one at that moment would fail a call.
_KEEPALIVE_S = 4
_PROBE_BYTES = 4 * 1024 * 1024


class Replica:
    """One backend of the settings, alive: everything that calls to it share."""

    def __init__(self, backend: BackendSettings, settings: InferenceSettings, metrics: InferenceMetrics) -> None:
        self.name = backend.label
        self.base_url = backend.base_url
        self.limit = backend.max_in_flight or settings.limits.max_in_flight_per_backend
        self.in_flight = 0
        self.background = 0
        self.breaker = Breaker(settings.breaker)
        self.models: tuple[str, ...] | None = None
        self.trouble = ""
        self._backend = backend
        self._probes = settings.probes
        self._timeouts = settings.timeouts
        self._metrics = metrics
        self._breaker_gauge = metrics.breaker_open.labels(self.name)
        self._shown_closed = True
        self._key = KeySource(backend.api_key, backend.api_key_file)
        tls_used = backend.base_url.startswith("https://")
        self._tls = TlsSource(backend.tls, used=tls_used)
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None
        self._failed_probes = 0
        self._probed_at = -math.inf
        self._last_good = -math.inf
        self._closed = False

    @property
    def usable(self) -> bool:
        """Whether calls may be sent here now."""
        return not self.trouble and self.breaker.ready

    @property
    def on_trial(self) -> bool:
        """Whether it is well as far as is known, but one call is trying it after failures."""
        return not self.trouble and self.breaker.state == "half-open"

    @property
    def state(self) -> str:
        """`up`, or what is wrong."""
        if self.trouble:
            return f"down: {self.trouble}"
        if not self.breaker.ready:
            return f"resting after failures, next try in {self.breaker.reopens_in_s:.0f} s"
        return "up"

    def serves(self, model: str) -> bool:
        """Whether the model is there, as far as is known."""
        return self.models is None or not model or model in self.models

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Send a request; the reply's head is here when this returns. Raises aiohttp's errors and `TimeoutError`."""
        session = self._session or await self._open()
        sent = {**headers, **self._key.header, "Content-Type": "application/json"}
        return await session.post(
            self._url(path), data=body, headers=sent, ssl=self._tls.context, allow_redirects=False
        )

    @property
    def key(self) -> SecretStr | None:
        """The API key as last read."""
        return self._key.current

    async def rotate_key(self) -> None:
        """Read the key again after the server refused it."""
        await self._key.refresh()

    def answered(self) -> None:
        """A streamed answer began."""
        self._last_good = time.monotonic()
        self.breaker.answered()
        self._show_breaker()

    def succeeded(self) -> None:
        """A call went well to its end."""
        self._last_good = time.monotonic()
        self.breaker.succeeded()
        self._show_breaker()

    def failed(self) -> None:
        """A call failed in a way that is the server's fault."""
        self.breaker.failed()
        self._show_breaker()

    async def probe(self, *, max_age_s: float = 0) -> None:
        """Ask the server how it is and which models it serves; never raises for a server that is down.

        max_age_s: be content with an answer as old as this.
        """
        if time.monotonic() - self._probed_at < max_age_s:
            return
        try:
            async with asyncio.timeout(self._timeouts.probe_s):
                await self._key.refresh()
                await self._tls.refresh()
                self.models = await self._ask()
        except TimeoutError:
            # Under full load a server is slow to say that it is well; its answers say it too.
            if time.monotonic() - self._last_good > 2 * self._probes.interval_s:
                self._sick(f"no reply within {self._timeouts.probe_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            self._sick(describe(error))
        except UpstreamDown as error:
            self._sick(str(error).rstrip("."))
        else:
            self._failed_probes = 0
            if self.trouble:
                _log.info("backend.well", backend=self.name)
            self.trouble = ""
        self._probed_at = time.monotonic()
        self._metrics.up.labels(self.name).set(0 if self.trouble else 1)

    async def close(self) -> None:
        """Close every connection; later calls fail."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self) -> tuple[str, ...]:
        if self._backend.health_path:
            status, _ = await self._get(self._backend.health_path)
            if status not in (200, 404):
                raise UpstreamDown(f"{self._backend.health_path} says {status}")
        used = self._key.header
        status, raw = await self._get("/v1/models")
        if status in (401, 403):
            await self._key.refresh()
            if self._key.header != used:  # it was rotated while we asked
                status, raw = await self._get("/v1/models")
        if status in (401, 403):
            raise UpstreamDown("it refuses our API key; set inference.api_key or inference.api_key_file")
        if status != 200:
            raise UpstreamDown(f"/v1/models says {status}")
        try:
            listed = orjson.loads(raw)["data"]
            return tuple(str(model["id"]) for model in listed)
        except (ValueError, KeyError, TypeError) as error:
            raise UpstreamDown("/v1/models is not an OpenAI model list") from error

    async def _get(self, path: str) -> tuple[int, bytes]:
        session = self._session or await self._open()
        async with session.get(
            self._url(path), headers=self._key.header, ssl=self._tls.context, allow_redirects=False
        ) as response:
            return response.status, await response.content.read(_PROBE_BYTES)

    async def _open(self) -> aiohttp.ClientSession:
        await self._key.refresh()
        await self._tls.refresh()
        if self._closed:
            raise UpstreamDown("Signalbox is shutting down.", hint="Ask again in a moment.")
        if self._session is None:  # another call may have opened it meanwhile
            self._session = self._new_session()
        return self._session

    def _new_session(self) -> aiohttp.ClientSession:
        shape: dict[str, Any] = {"limit": 0, "keepalive_timeout": _KEEPALIVE_S}  # the dispatcher limits, not the pool
        socket = self._backend.unix_socket
        connector = aiohttp.UnixConnector(str(socket), **shape) if socket else aiohttp.TCPConnector(**shape)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeouts.connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "signalbox", "Accept-Encoding": "identity"},
        )

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(self.base_url + path)
        return url

    def _show_breaker(self) -> None:
        closed = self.breaker.state == "closed"
        if closed is not self._shown_closed:
            self._shown_closed = closed
            self._breaker_gauge.set(0 if closed else 1)

    def _sick(self, reason: str) -> None:
        self._failed_probes += 1
        never_well = self.models is None
        if never_well or self._failed_probes >= self._probes.failures_until_sick:
            if not self.trouble:
                _log.warning("backend.sick", backend=self.name, reason=reason)
            self.trouble = reason


def describe(error: BaseException) -> str:
    """What went wrong on the wire, in a few words."""
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.strerror:
        return error.os_error.strerror.lower()
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "it cut the connection in the middle"
    return str(error) or type(error).__name__
