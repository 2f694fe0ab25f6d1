"""One model server: its connections, its key, its health, its breaker."""

import asyncio
import math
import time
from collections.abc import Mapping

import orjson
import structlog
from pydantic import SecretStr

from inference.backends.breaker import Breaker
from inference.backends.credentials import KeySource, TlsSource
from inference.backends.wire import Reply, Wire, WireFault
from inference.settings import BackendSettings, InferenceSettings
from inference.telemetry import InferenceMetrics
from signalbox.errors import UpstreamDown

_log = structlog.get_logger(__name__)
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
        self._health_path = backend.health_path
        self._probes = settings.probes
        self._timeouts = settings.timeouts
        self._metrics = metrics
        self._breaker_gauge = metrics.breaker_open.labels(self.name)
        self._shown_closed = True
        self._key = KeySource(backend.api_key, backend.api_key_file)
        tls_used = backend.base_url.startswith("https://")
        self._tls = TlsSource(backend.tls, used=tls_used)
        self._wire = Wire(backend.base_url, unix_socket=backend.unix_socket, connect_s=settings.timeouts.connect_s)
        self._ready = False
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

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a request; the reply's head is here when this returns. Raises `OSError`, `TimeoutError` among them."""
        if not self._ready:
            await self._open()
        sent = {**headers, **self._key.header, "Content-Type": "application/json"}
        return await self._wire.send("POST", path, sent, body, self._tls.context)

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
        except OSError as error:
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
        self._closed, self._ready = True, False
        await self._wire.close()

    async def _ask(self) -> tuple[str, ...]:
        if self._health_path:
            status, _ = await self._get(self._health_path)
            if status not in (200, 404):
                raise UpstreamDown(f"{self._health_path} says {status}")
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
        if not self._ready:
            await self._open()
        reply = await self._wire.send("GET", path, self._key.header, b"", self._tls.context)
        try:
            return reply.status, await read_body(reply, _PROBE_BYTES)
        finally:
            reply.release()

    async def _open(self) -> None:
        await self._key.refresh()
        await self._tls.refresh()
        if self._closed:
            raise UpstreamDown("Signalbox is shutting down.", hint="Ask again in a moment.")
        self._ready = True

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


async def read_body(reply: Reply, limit: int) -> bytes:
    """The whole body; raises `WireFault` for one that is too large."""
    pieces: list[bytes] = []
    size = 0
    while piece := await reply.read():
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            reply.close()
            raise WireFault(f"its reply is larger than {limit} bytes")
    return b"".join(pieces)


def describe(error: OSError) -> str:
    """What went wrong on the wire, in a few words."""
    if isinstance(error, WireFault):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return (error.strerror or str(error) or type(error).__name__).lower()
