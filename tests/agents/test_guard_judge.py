"""A guard model behind the one gate: it can only tighten, and what goes wrong with it withholds."""

import asyncio
from collections.abc import Callable

import pytest
import structlog.testing
from pydantic import ValidationError

from agents.review.guard import REASON, GuardJudge
from agents.review.verdict import Surroundings, Verdict
from agents.reviewer import Reviewer
from agents.settings import GuardSettings, ReviewSettings
from inference.contracts import CallScope, UsageMeter
from inference.prediction import Classified
from signalbox.errors import UpstreamDown

SAFE = Classified("safe", (0.9, 0.1))


class ScriptedGuard:
    """A classifier that notes what it was asked."""

    def __init__(self, answer: Callable[[str], Classified]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, CallScope | None]] = []

    async def classify(self, texts, *, scope=None):
        self.asked += [(text, scope) for text in texts]
        return [self.answer(text) for text in texts]


@pytest.fixture(autouse=True)
def logs():
    with structlog.testing.capture_logs() as entries:
        yield entries


def reviewer(guard, **settings) -> Reviewer:
    judge = GuardJudge(guard, GuardSettings(model="guard", allow=("safe", "mild"), **settings))
    return Reviewer(ReviewSettings(judge_timeout_s=0.05), canary="kestrel-4711-harbour", judge=judge)


async def test_an_allowed_class_leaves_and_is_judged_with_what_came_before_in_the_name_of_the_run():
    guard = ScriptedGuard(lambda _: SAFE)
    scope = CallScope("default", "conv", "run", UsageMeter())
    around = Surroundings(before="Before. ", calls=scope)
    assert await reviewer(guard).review("A sentence.", around) == Verdict("release", "A sentence.")
    assert guard.asked == [("Before. A sentence.", scope)]


@pytest.mark.parametrize(
    "found",
    [Classified("unsafe", (0.1, 0.9)), Classified("of a new kind", (0.9,)), Classified("safe", (0.4, 0.3, 0.3))],
)
async def test_any_other_class_and_a_guard_that_is_not_sure_withhold(found):
    verdict = await reviewer(ScriptedGuard(lambda _: found)).review("A sentence.", Surroundings())
    assert verdict == Verdict("withhold", "", REASON)


async def test_a_guard_that_is_down_late_or_talks_nonsense_withholds():
    def down(_):
        raise UpstreamDown("The guard does not answer.")

    class Late(ScriptedGuard):
        async def classify(self, texts, *, scope=None):
            await asyncio.sleep(1)
            return [SAFE]

    class Nonsense(ScriptedGuard):
        async def classify(self, texts, *, scope=None):
            return []

    for guard in (ScriptedGuard(down), Late(lambda _: SAFE), Nonsense(lambda _: SAFE)):
        assert (await reviewer(guard).review("A sentence.", Surroundings())).action == "withhold"


async def test_what_the_checks_withhold_is_not_even_shown_to_the_guard():
    guard = ScriptedGuard(lambda _: SAFE)
    verdict = await reviewer(guard).review("The word is kestrel-4711-harbour.", Surroundings())
    assert verdict.action == "withhold"
    assert guard.asked == []


def test_a_guard_without_classes_that_may_leave_is_a_mistake():
    with pytest.raises(ValidationError):
        GuardSettings(model="guard", allow=())
