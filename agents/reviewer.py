"""The one gate through which text leaves: deterministic checks first, a model's judgement where one is installed.

It fails closed: a check that breaks withholds the text that it was asked about.
"""

import asyncio
from collections.abc import Iterable

import structlog

from agents.claims import ClaimCheck
from agents.review.credentials import check_credentials
from agents.review.invisible import visible
from agents.review.leaks import LeakCheck
from agents.review.links import LinkCheck
from agents.review.verdict import Check, Judge, Surroundings, Verdict
from agents.settings import ReviewSettings
from agents.support import Embeds

_log = structlog.get_logger(__name__)


class Reviewer:
    """Decides about pieces of text: release, mask, or withhold."""

    def __init__(
        self,
        settings: ReviewSettings,
        *,
        canary: str,
        protected: Iterable[str] = (),
        judge: Judge | None = None,
        embedder: Embeds | None = None,
    ) -> None:
        self.claims = ClaimCheck(settings, embedder)
        self._settings = settings
        self._judge = judge
        self._checks: tuple[Check, ...] = (
            LeakCheck(canary, protected),
            check_credentials,
            LinkCheck(settings.allowed_hosts),
        )

    @property
    def hold_chars(self) -> int:
        """How much open text to hold back before it is looked at as it is."""
        return self._settings.hold_chars

    async def review(self, text: str, around: Surroundings) -> Verdict:
        """The verdict on `text`, which follows `around.before`."""
        verdict = self.look(text, around)
        return verdict if verdict.action == "withhold" else await self.opinion(verdict, around)

    async def opinion(self, verdict: Verdict, around: Surroundings) -> Verdict:
        """The verdict with the judge's opinion on what would leave by it; without a judge, the verdict."""
        if self._judge is None or not verdict.text.strip():
            return verdict
        return await self._judged(self._judge, verdict, around)

    def look(self, text: str, around: Surroundings) -> Verdict:
        """The deterministic part alone."""
        result = Verdict("release", text)
        if not text:
            return result
        try:
            for check in self._checks:
                verdict = check(result.text, around)
                if verdict.action == "withhold":
                    return verdict
                if verdict.action == "mask":
                    result = Verdict("mask", verdict.text, verdict.reason)
        except Exception as error:  # noqa: BLE001 - the gate fails closed, whatever broke
            _log.error("review.failed", error=type(error).__name__)
            return Verdict("withhold", "", "something that could not be checked")
        return result

    def clean(self, text: str) -> str:
        """A short text beside the answer (a task, a reason, a quote): masked, or empty when it must not leave."""
        return self.look(visible(text), Surroundings()).text

    def discreet(self, quote: str) -> str:
        """A quotation, verbatim but for credentials in it."""
        return check_credentials(quote, Surroundings()).text

    async def _judged(self, judge: Judge, verdict: Verdict, around: Surroundings) -> Verdict:
        try:
            async with asyncio.timeout(self._settings.judge_timeout_s):
                opinion = await judge.judge(verdict.text, around)
        except Exception as error:  # noqa: BLE001 - no opinion is no release
            _log.error("review.judge_failed", error=type(error).__name__)
            return Verdict("withhold", "", "something that could not be judged")
        return verdict if opinion.action == "release" else opinion
