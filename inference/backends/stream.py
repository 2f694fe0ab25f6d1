"""A streamed reply, read chunk by chunk under time limits; closing it closes the request."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from inference.backends.dispatch import Lease
from inference.backends.replica import describe
from inference.backends.wire import Reply
from inference.errors import ModelFault
from inference.settings import TimeoutSettings
from inference.sse import SseParser, SseTooLarge
from signalbox.errors import SignalboxError, UpstreamDown

_DONE = b"[DONE]"
_EOF_WAIT_S = 0.05


class Watch:
    """Fires once: when a wait for data is too long, or the whole call is. One timer, nothing per chunk.

    Only waiting for the server counts; a slow consumer of ours does not make the server late.
    """

    __slots__ = ("_begun", "_close", "_end", "_handle", "_limit", "_loop", "_since", "ended", "reason")

    def __init__(self, timeouts: TimeoutSettings, started: float, close: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._close = close
        self._end = started + timeouts.total_s
        self._limit = timeouts.first_token_s
        self._since: float | None = started
        self._begun = False
        self._handle = self._loop.call_at(started + min(self._limit, timeouts.total_s), self._check)
        self.reason = ""
        self.ended = False

    def waits(self) -> None:
        """A wait for data begins; all waits for the first token are one."""
        if self._begun:
            self._since = self._loop.time()

    def came(self) -> None:
        """Data came."""
        if self._begun:
            self._since = None

    def between(self, limit_s: float) -> None:
        """The first token came; from now on this limit holds for each wait."""
        self._begun = True
        self._since = None
        self._limit = limit_s
        self._handle.cancel()
        self._handle = self._loop.call_later(min(limit_s, self._end - self._loop.time()), self._check)

    def stop(self) -> None:
        """Nothing fires any more."""
        self._handle.cancel()

    def _check(self) -> None:
        now = self._loop.time()
        due = self._end if self._since is None else min(self._end, self._since + self._limit)
        if now >= due:
            self.ended = now >= self._end
            self.reason = "the whole answer took too long" if self.ended else f"it sent nothing for {self._limit:g} s"
            self._close()
            return
        ahead = self._limit if self._since is None else due - now
        self._handle = self._loop.call_later(min(ahead, self._end - now), self._check)


class ReplyStream:
    """The chunks of one accepted request. Always `close` it, also after an error."""

    def __init__(self, response: Reply, lease: Lease, timeouts: TimeoutSettings, started: float) -> None:
        self._response = response
        self._lease = lease
        self._parser = SseParser()
        self._watch = Watch(timeouts, started, response.close)
        self._between_s = timeouts.between_chunks_s
        self._early: list[dict[str, Any]] = []
        self.why = ""
        self._fault: SignalboxError | None = None
        self._finished = False
        self._done = False
        self._closed = False

    @property
    def backend(self) -> str:
        """Which backend answers."""
        return self._lease.replica.name

    @property
    def late(self) -> bool:
        """Whether a time limit ended it."""
        return bool(self._watch.reason)

    async def begin(self) -> None:
        """Read up to the first chunk that carries something; whatever fails before it may be tried elsewhere."""
        while True:
            chunks = await self._read()
            self._early.extend(chunks)
            if not chunks or any(map(_carries, chunks)):
                self._watch.between(self._between_s)
                return

    async def next(self) -> list[dict[str, Any]]:
        """The chunks of one read from the network; empty at the end. Raises `UpstreamDown` and `ModelFault`."""
        if self._early:
            early, self._early = self._early, []
            return early
        try:
            return await self._read()
        except SignalboxError:
            if not (self._closed or self._watch.ended):  # the server's fault, not ours and not a long answer's
                self._lease.replica.failed()
            raise

    def close(self) -> None:
        """End the request now, whatever it is doing; a reply read to its end leaves the connection for reuse."""
        if self._closed:
            return
        self._closed = True
        self._watch.stop()
        if self._done:
            self._lease.replica.succeeded()
        if self._done:
            self._response.release()
        else:
            self._response.close()
        self._lease.release()

    async def _read(self) -> list[dict[str, Any]]:
        if self._fault is not None:
            raise self._fault
        if self._done:
            return []
        watch = self._watch
        if watch.reason or self._closed:  # closed while nobody read, by the watch or by a token
            raise self._broken(watch.reason or "the request was closed")
        watch.waits()
        try:
            while True:
                raw = await self._response.read()
                if not raw:
                    self._ended()
                    return []
                events = self._parser.feed(raw)
                if events:
                    chunks = self._parse(events)
                    if self._done:
                        await self._drain()
                    if chunks or self._done:
                        return chunks
        except OSError as error:
            raise self._broken(watch.reason or describe(error)) from error
        except SseTooLarge as error:
            raise ModelFault(f"The model server {self.backend!r} sent nonsense: {error}") from error
        finally:
            watch.came()

    def _parse(self, events: list[bytes]) -> list[dict[str, Any]]:
        chunks: list[dict[str, Any]] = []
        for event in events:
            if event == _DONE:
                self._done = True
                break
            chunk, fault = self._load(event)
            if fault is not None:
                if not chunks:
                    raise fault
                self._fault = fault  # what came before it is handed out first
                break
            if not self._finished:
                self._finished = _finishes(chunk)
            chunks.append(chunk)
        return chunks

    def _load(self, event: bytes) -> tuple[dict[str, Any], SignalboxError | None]:
        try:
            chunk = orjson.loads(event)
        except ValueError:
            return {}, self._nonsense(f"that is not {_expected(event)}")
        if not isinstance(chunk, dict):
            return {}, self._nonsense("that is not a JSON object")
        if "error" in chunk:
            return {}, self._broken(_told(chunk["error"]))
        choices = chunk.get("choices")
        if choices and not (isinstance(choices, list) and isinstance(choices[0], dict)):
            return {}, self._nonsense("that is not a chat completion")
        return chunk, None

    def _nonsense(self, what: str) -> ModelFault:
        self.why = f"it sent a chunk {what}"
        return ModelFault(f"The model server {self.backend!r} sent a chunk {what}.", hint="Ask again.")

    def _ended(self) -> None:
        # A server may leave out [DONE]; one that leaves out the finish reason was cut off.
        if self._parser.midway or not self._finished:
            raise self._broken("it ended the stream in the middle of the answer")
        self._done = True

    async def _drain(self) -> None:
        # The end of the body usually comes right after [DONE]; having read it, the connection can be used again.
        if self._response.at_end:
            return
        try:
            async with asyncio.timeout(_EOF_WAIT_S):
                await self._response.read()
        except OSError:  # a `TimeoutError` too
            return

    def _broken(self, why: str) -> SignalboxError:
        self.why = why
        return UpstreamDown(f"The model server {self.backend!r} failed during the answer: {why}.", hint="Ask again.")


def _carries(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    if not choices:
        return False
    if choices[0].get("finish_reason"):
        return True
    delta = choices[0].get("delta")
    return isinstance(delta, dict) and any(value for key, value in delta.items() if key != "role")


def _finishes(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    return bool(choices) and choices[0].get("finish_reason") is not None


def _expected(event: bytes) -> str:
    try:
        event.decode()
    except UnicodeDecodeError:
        return "valid UTF-8"
    return "valid JSON"


def _told(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:300].rstrip(".")
