"""Runs the gate: every case through real turns of the release, and some of them through the live one beside it."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from inference.registry.gate.cases import GateCase, GateCases
from inference.registry.gate.judge import bias_fault, bias_note, passages, quality_fault, routing_fault, safety_fault
from inference.registry.gate.report import SHOWN, Failure, GateReport, Latency, Section
from inference.registry.settings import GateSettings
from runs.events import RunResult
from signalbox.errors import SignalboxError

Ask = Callable[[GateCase, str], Awaitable[RunResult]]
"""Ask one question as the user of a case, in a conversation of its own; raises `SignalboxError` where the run fails."""

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Candidate:
    """The release under test, what is live beside it, and the prompts that must not be recited."""

    release: str
    ask: Ask
    live: str
    ask_live: Ask
    prompts: Sequence[str]


class Gate:
    """One pass over all cases."""

    def __init__(self, cases: GateCases, settings: GateSettings, on_progress: OnProgress) -> None:
        self._cases = cases
        self._settings = settings
        self._on_progress = on_progress
        self._done = 0
        self._total = (
            2 * len(cases.quality)
            + len(cases.routing)
            + len(cases.safety)
            + sum(len(group.asks) for group in cases.bias)
        )

    async def judge(self, candidate: Candidate) -> GateReport:
        """The report on one release."""
        started = time.monotonic()
        quality, latency, engine = await self._quality(candidate)
        sections = (
            quality,
            await self._routing(candidate),
            await self._safety(candidate),
            await self._bias(candidate),
        )
        return GateReport(
            release=candidate.release,
            live=candidate.live,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            engine=engine,
            passed=latency.passed and all(section.passed for section in sections),
            seconds=round(time.monotonic() - started, 1),
            sections=sections,
            latency=latency,
        )

    async def _quality(self, candidate: Candidate) -> tuple[Section, Latency, str]:
        failures: list[Failure] = []
        times: list[float] = []
        live_times: list[float] = []
        engine = ""
        for index, case in enumerate(self._cases.quality):
            # In turns, and each first as often as second: caches and the machine's mood meet both alike.
            asks = [(candidate.ask, times), (candidate.ask_live, live_times)]
            for ask, taken in asks if index % 2 else reversed(asks):
                result, why = await self._timed(ask, case, case.ask, taken)
                if ask is candidate.ask:
                    engine = engine or (result.engine if result else "")
                    why = why or (quality_fault(case, result) if result else "")
                    failures += _failed(case.id, why, result)
                self._tell("quality")
        section = _section("quality", failures, len(self._cases.quality), self._settings.quality_min)
        return section, self._latency(times, live_times), engine

    def _latency(self, times: Sequence[float], live_times: Sequence[float]) -> Latency:
        ours, theirs = median(times), median(live_times)
        ratio = ours / theirs if theirs else 1.0
        limit = self._settings.latency_ratio_max
        small = ours - theirs < self._settings.latency_floor_ms
        return Latency(
            passed=ratio <= limit or small,
            median_ms=round(ours, 1),
            live_median_ms=round(theirs, 1),
            ratio=round(ratio, 3),
            threshold=limit,
            turns=len(times),
        )

    async def _routing(self, candidate: Candidate) -> Section:
        failures: list[Failure] = []
        for case in self._cases.routing:
            result, why = await self._asked(candidate.ask, case, case.ask)
            why = why or (routing_fault(case, result) if result else "")
            failures += _failed(case.id, why, result)
            self._tell("routing")
        return _section("routing", failures, len(self._cases.routing), self._settings.routing_min)

    async def _safety(self, candidate: Candidate) -> Section:
        failures: list[Failure] = []
        secret = passages(candidate.prompts)
        for case in self._cases.safety:
            result, why = await self._asked(candidate.ask, case, case.ask)
            why = why or (safety_fault(case, result, secret) if result else "")
            failures += _failed(case.id, why, result)
            self._tell("safety")
        return _section("safety", failures, len(self._cases.safety), self._settings.safety_min)

    async def _bias(self, candidate: Candidate) -> Section:
        failures: list[Failure] = []
        notes: list[Failure] = []
        for group in self._cases.bias:
            asked = []
            for wording in group.asks:
                asked.append(await self._asked(candidate.ask, group, wording))
                self._tell("bias")
            broken = next((why for _, why in asked if why), "")
            results = [result for result, _ in asked if result]
            failures += _failed(group.id, broken or bias_fault(results), None)
            notes += _failed(group.id, "" if broken else bias_note(results), None)
        section = _section("bias", failures, len(self._cases.bias), self._settings.bias_min)
        return section.model_copy(update={"notes": tuple(notes)})

    async def _timed(self, ask: Ask, case: GateCase, question: str, taken: list[float]) -> tuple[RunResult | None, str]:
        started = time.monotonic()
        try:
            return await self._asked(ask, case, question)
        finally:
            taken.append((time.monotonic() - started) * 1000)

    async def _asked(self, ask: Ask, case: GateCase, question: str) -> tuple[RunResult | None, str]:
        try:
            return await ask(case, question), ""
        except SignalboxError as error:
            return None, f"the run failed: {error}"

    def _tell(self, section: str) -> None:
        self._done += 1
        self._on_progress(section, self._done, self._total)


def refused(release: str, live: str, why: str) -> GateReport:
    """The report on a release that cannot be run here at all."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return GateReport(release=release, live=live, at=at, engine="", passed=False, seconds=0, sections=(), refusal=why)


def _failed(case: str, why: str, result: RunResult | None) -> list[Failure]:
    return [Failure(case=case, why=why, said=result.text[:SHOWN] if result else "")] if why else []


def _section(name: str, failures: Sequence[Failure], cases: int, threshold: float) -> Section:
    score = round(1 - len(failures) / cases, 4)
    return Section(
        name=name, passed=score >= threshold, score=score, threshold=threshold, cases=cases, failures=tuple(failures)
    )
