"""A classifying model as judge: what it does not put into a class that may leave, does not leave."""

from collections.abc import Sequence
from typing import Protocol

import structlog

from agents.review.verdict import Surroundings, Verdict
from agents.settings import GuardSettings
from inference.contracts import CallScope
from inference.prediction import Classified

REASON = "something that the guard does not let through"
_log = structlog.get_logger(__name__)


class Classifier(Protocol):
    """`inference.prediction.ClassifyClient`, or anything like it."""

    async def classify(self, texts: Sequence[str], *, scope: CallScope | None = None) -> list[Classified]:
        """The class of each text."""
        ...


class GuardJudge:
    """Implements `agents.review.verdict.Judge`: each piece is judged with what came before it."""

    def __init__(self, classifier: Classifier, settings: GuardSettings) -> None:
        self._classifier = classifier
        self._allowed = frozenset(settings.allow)
        self._sure = settings.min_probability

    async def judge(self, text: str, around: Surroundings) -> Verdict:
        """Release for an allowed class, withhold for any other: a class that nobody thought of is none of them."""
        (found,) = await self._classifier.classify([around.before + text], scope=around.calls)
        if found.label in self._allowed and max(found.probabilities, default=0.0) >= self._sure:
            return Verdict("release", text)
        _log.info("review.guard", label=found.label)
        return Verdict("withhold", "", REASON)
