"""One model on its replicas: which one is tried first, what happens when it fails, and how much is repeated."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

import orjson

from inference.backends.dispatch import Dispatcher, Lease
from inference.backends.faults import AttemptFailed
from inference.backends.job import Job
from inference.backends.replica import Replica, describe, read_body
from inference.backends.stream import ReplyStream
from inference.backends.wire import Reply
from inference.errors import ModelFault
from inference.settings import InferenceSettings, ModelSettings
from inference.telemetry import CallRecord, InferenceMetrics
from signalbox.errors import BudgetSpent, SignalboxError, TooLarge, UpstreamDown, UserFault

T = TypeVar("T")
_MAX_ATTEMPTS = 4
_ERROR_BYTES = 64 * 1024


class RetryBudget:
    """Allows repeats in proportion to calls, so that a sick server is not flooded with repeats."""

    def __init__(self, share: float, burst: float) -> None:
        self._share = share
        self._burst = burst
        self._tokens = burst

    def called(self) -> None:
        """One more call earns its share of a repeat."""
        self._tokens = min(self._burst, self._tokens + self._share)

    def take(self) -> bool:
        """Whether one repeat is allowed now."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True)
class Shared:
    """What all pools of a process have in common; `begin` starts the watch over health, many times over."""

    settings: InferenceSettings
    metrics: InferenceMetrics
    dispatcher: Dispatcher
    begin: Callable[[], None]


class ModelPool:
    """One model, on every replica that serves it."""

    def __init__(self, name: str, model: ModelSettings, replicas: Sequence[Replica], shared: Shared) -> None:
        self.name = name
        self.model = model
        self.replicas = tuple(replicas)
        self._begin = shared.begin
        self._dispatcher = shared.dispatcher
        self._settings = shared.settings
        self._metrics = shared.metrics
        self._budget = RetryBudget(shared.settings.retries.budget_share, shared.settings.retries.budget_burst)

    def tuned(self, parameters: dict[str, Any]) -> "ModelPool":
        """The same model on the same replicas, called with other parameters."""
        other = copy(self)
        other.model = self.model.model_copy(update={"parameters": parameters})
        return other

    @property
    def served_name(self) -> str:
        """The model's name on the wire; known from the first probe where the settings leave it open."""
        if self.model.served_name:
            return self.model.served_name
        listed = next((replica.models for replica in self.replicas if replica.models), ())
        return next(iter(listed), "")

    @property
    def label(self) -> str:
        """The name under which answers and measurements show the model."""
        return self.served_name or self.name

    async def resolve(self, record: CallRecord) -> str:
        """`served_name`, asking the servers when it is not known yet."""
        name = self.served_name
        if not name:
            for replica in self.replicas:
                await replica.probe()
                if name := self.served_name:
                    break
            else:
                raise self._down([AttemptFailed(replica.state) for replica in self.replicas])
            record.named(name)
        return name

    async def stream(self, job: Job) -> ReplyStream:
        """A streamed reply whose first token is here; the caller closes it."""
        job.record.tally.prompt_estimate = len(job.body) // 4
        return await self._attempts(job, self._start_stream)

    async def fetch(self, job: Job) -> dict[str, Any]:
        """A whole reply."""
        return await self._attempts(job, self._fetch_whole)

    async def _attempts(self, job: Job, attempt: Callable[[Lease, Job], Awaitable[T]]) -> T:
        self._begin()
        self._budget.called()
        tried: list[Replica] = []
        failures: list[AttemptFailed] = []
        while True:
            lease = await self._lease(job, tried, failures)
            replica = lease.replica
            try:
                result = await attempt(lease, job)
            except AttemptFailed as failure:
                lease.release()
                replica.failed() if failure.counts else replica.breaker.gave_up()
                tried.append(replica)
                failures.append(failure)
                await self._before_next(job, tried, failures)
            except SignalboxError:
                lease.release()
                replica.succeeded()  # it answered, only not what we hoped for
                raise
            except BaseException:
                lease.release()
                replica.breaker.gave_up()
                raise
            else:
                return result

    async def _before_next(self, job: Job, tried: list[Replica], failures: list[AttemptFailed]) -> None:
        if len(failures) >= _MAX_ATTEMPTS:
            raise self._final(failures)
        if any(replica not in tried for replica in self._usable()) or self._last_resort(tried):
            self._metrics.failovers.labels(self.name).inc()
            return
        last = failures[-1]
        worth_it = last.counts and not last.slow and len(failures) == 1
        if not worth_it or not self._budget.take():
            raise self._final(failures)
        self._metrics.retries.labels(self.name).inc()
        tried.clear()
        await asyncio.sleep(self._settings.retries.backoff_s * random.uniform(0.5, 1.5))  # noqa: S311

    async def _lease(self, job: Job, tried: Sequence[Replica], failures: Sequence[AttemptFailed]) -> Lease:
        candidates = [replica for replica in self._usable() if replica not in tried] or self._last_resort(tried)
        if not candidates:
            raise self._final(failures)
        if len(candidates) > 1:
            key = job.affinity
            candidates.sort(key=lambda replica: _weight(key, replica.name), reverse=True)
        return await self._dispatcher.lease(candidates, job.scope.tenant, job.priority)

    def _last_resort(self, tried: Sequence[Replica]) -> list[Replica]:
        """Replicas on trial after failures: better than an error for a call that has failed elsewhere."""
        served = self.model.served_name
        last = [each for each in self.replicas if each.on_trial and each.serves(served) and each not in tried]
        return last if tried else []

    def _usable(self) -> list[Replica]:
        served = self.model.served_name
        return [replica for replica in self.replicas if replica.usable and replica.serves(served)]

    async def _start_stream(self, lease: Lease, job: Job) -> ReplyStream:
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._settings.timeouts.first_token_s):
                response = await self._post(lease.replica, job)
        except TimeoutError as error:
            raise AttemptFailed(f"no reply within {self._settings.timeouts.first_token_s:g} s", slow=True) from error
        job.record.backend = lease.replica.name
        stream = ReplyStream(response, lease, self._settings.timeouts, started)
        try:
            await stream.begin()
        except (UpstreamDown, ModelFault) as error:
            stream.close()
            raise AttemptFailed(stream.why or error.message, slow=stream.late) from error
        except BaseException:
            stream.close()
            raise
        job.record.first_token()
        lease.replica.answered()
        return stream

    async def _fetch_whole(self, lease: Lease, job: Job) -> dict[str, Any]:
        limit_s = self._settings.timeouts.whole_answer_s
        try:
            async with asyncio.timeout(limit_s):
                response = await self._post(lease.replica, job)
                job.record.backend = lease.replica.name
                try:
                    raw = await read_body(response, self._settings.limits.max_response_bytes)
                finally:
                    response.release()  # closes the connection unless the body was read to its end
        except TimeoutError as error:
            raise AttemptFailed(f"no whole reply within {limit_s:g} s", slow=True) from error
        except OSError as error:
            raise AttemptFailed(describe(error)) from error
        try:
            reply = orjson.loads(raw)
        except ValueError as error:
            raise AttemptFailed("its reply is not valid JSON") from error
        if not isinstance(reply, dict | list):
            raise AttemptFailed("its reply is not a JSON object")
        lease.release()
        lease.replica.succeeded()
        return reply if isinstance(reply, dict) else {"data": reply}

    async def _post(self, replica: Replica, job: Job) -> Reply:
        for again in (True, False):
            key = replica.key
            # vLLM refuses an id that it still works on: every attempt has its own.
            job.headers["X-Request-Id"] = f"{job.scope.run_id or 'run'}-{secrets.token_hex(6)}"
            try:
                response = await replica.post(job.path, job.body, job.headers)
            except UpstreamDown as error:  # our own key or certificate files cannot be read
                raise AttemptFailed(error.message.rstrip("."), counts=False, hint=error.hint) from error
            except OSError as error:
                raise AttemptFailed(describe(error)) from error
            if response.status == 200:
                return response
            try:
                raw = await read_body(response, _ERROR_BYTES)
            except OSError:
                raw = b""
            finally:
                response.release()
            if response.status == 401 and again:
                await replica.rotate_key()
                if replica.key != key:
                    continue
            self._refused(replica, response, raw)
        raise AttemptFailed("it refuses our API key", counts=False)

    def _refused(self, replica: Replica, response: Reply, raw: bytes) -> None:
        status, said = response.status, _said(raw)
        if status in (429, 503):
            after = _retry_after(response.header("retry-after"))
            raise AttemptFailed(f"it is busy ({status})", counts=False, busy=True, retry_after_s=after)
        if status in (401, 403):
            hint = "Set inference.api_key or inference.api_key_file."
            raise AttemptFailed(f"it refuses our API key ({status})", counts=False, hint=hint)
        if status == 404:
            listed = f"; it serves {', '.join(replica.models)}" if replica.models else ""
            hint = f"Set inference.model to what the server serves{listed}."
            raise AttemptFailed(f"it does not serve {self.name!r}: {said}", counts=False, hint=hint)
        if status in (400, 413, 422):
            if "context length" in said or "maximum context" in said or status == 413:
                raise TooLarge(f"The request is too long for the model {self.name!r}: {said}", hint="Shorten it.")
            raise UserFault(f"The model {self.name!r} refused the request: {said}", hint="Correct it.")
        raise AttemptFailed(f"it answered {status}: {said}")

    def _final(self, failures: Sequence[AttemptFailed]) -> SignalboxError:
        if failures and failures[-1].busy:
            after = failures[-1].retry_after_s or 2.0
            return BudgetSpent(
                f"The servers of the model {self.name!r} are busy.",
                hint=f"Try again in {after:.0f} s.",
                retry_after_s=after,
            )
        return self._down(failures)

    def _down(self, failures: Sequence[AttemptFailed]) -> UpstreamDown:
        reasons = dict.fromkeys(failure.reason for failure in failures)
        if not failures:
            reasons = dict.fromkeys(self._why_unusable(replica) for replica in self.replicas)
        where = ", ".join(replica.base_url for replica in self.replicas)
        hint = next((failure.hint for failure in failures if failure.hint), "") or (
            "Start the server (`signalbox inference serve`), correct inference.base_url, "
            'or set inference.fallback.to = ["embedded"].'
        )
        return UpstreamDown(
            f"The model {self.name!r} at {where} does not answer: {'; '.join(reasons)}.",
            hint=hint,
            retry_after_s=self._settings.breaker.open_s,
        )

    def _why_unusable(self, replica: Replica) -> str:
        if replica.usable and replica.models is not None:
            return f"it serves {', '.join(replica.models) or 'no model'}, not {self.model.served_name!r}"
        return replica.state


def _weight(key: str, name: str) -> bytes:
    return blake2b(f"{key}\x1f{name}".encode(), digest_size=8).digest()


def _said(raw: bytes) -> str:
    try:
        body = orjson.loads(raw)
        error = body.get("error", body)
        message = error.get("message") if isinstance(error, dict) else error
        text = str(message or body.get("detail") or "")
    except (ValueError, AttributeError):
        text = raw[:300].decode(errors="replace")
    return text[:500].strip().rstrip(".")


def _retry_after(header: str | None) -> float | None:
    try:
        return min(60.0, max(0.0, float(header))) if header else None
    except ValueError:
        return None  # an HTTP date: rare, and a guess serves as well
