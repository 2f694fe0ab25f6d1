"""What every source puts around its calls: a deadline, a limit of concurrent calls per tool, a circuit breaker."""

import asyncio
from collections.abc import Awaitable, Callable

from signalbox.errors import ToolFault, UpstreamDown
from toolbus.breaker import CircuitBreaker
from toolbus.settings import ToolBusSettings
from toolbus.sources import SourceCall, SourceResult


class NotUp(UpstreamDown):
    """The call was not even tried."""


class Unanswered(ToolFault):
    """The call was made and no answer came."""


def timed_out(call: SourceCall) -> Unanswered:
    """The fault of a call that took too long."""
    unknown = "" if call.replayable else " It was told to stop; whether it had taken effect is unknown."
    return Unanswered(
        f"{call.tool!r} did not answer within {call.timeout_s:g} s.{unknown}",
        hint="Ask for less at a time, or go on without it.",
        retryable=call.replayable,
    )


class CallGate:
    """The gate of one source."""

    def __init__(self, name: str, settings: ToolBusSettings) -> None:
        self._settings = settings
        self._breaker = CircuitBreaker(
            name, failures=settings.breaker_failures, cool_down_s=settings.breaker_cool_down_s
        )
        self._slots: dict[str, asyncio.Semaphore] = {}

    @property
    def trouble(self) -> str:
        """What keeps calls out now; nothing while they pass."""
        wait_s = self._breaker.open_for_s
        return f"left alone for {wait_s:.0f} s after repeated failures" if wait_s else ""

    async def run(self, call: SourceCall, work: Callable[[], Awaitable[SourceResult]]) -> SourceResult:
        """Do the work within `call.timeout_s`, the wait for a slot included; learn from how it ends."""
        self._breaker.check()
        slot = self._slots.setdefault(call.tool, asyncio.Semaphore(self._settings.per_tool_concurrency))
        try:
            async with asyncio.timeout(call.timeout_s), slot:
                result = await work()
        except TimeoutError:
            self._breaker.failed()
            raise timed_out(call) from None
        except NotUp:
            self._breaker.abandoned()  # nobody waited for it: nothing was learned
            raise
        except (Unanswered, UpstreamDown):
            self._breaker.failed()
            raise
        except ToolFault:
            self._breaker.succeeded()
            raise
        except BaseException:
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        return result
