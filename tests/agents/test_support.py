"""Cited claims are compared with what they cite before they are shown."""

import asyncio

import numpy as np
import pytest

from agents.claims import ClaimCheck
from agents.evidence import Evidence
from agents.release import Release
from agents.reviewer import Reviewer
from agents.settings import ReviewSettings
from agents.support import sentence_of, support
from tests.agents.memory import MemoryBus
from tests.agents.plays import A, B, plan, result_of, script, searching
from tests.agents.scripted import evidence
from toolbus.contracts import ToolOutcome

LEAVE = "Every employee is entitled to twenty-five (25) days of paid leave, from 2025-03-01 on. Ask Bruno Adler."
DOUBTFUL = "The holiday entitlement of the firm covers everybody working here permanently"


@pytest.mark.parametrize(
    ("claim", "source", "missing"),
    [
        ("You get 25 days of leave.", LEAVE, ()),
        ("You get 30 days of leave.", LEAVE, ("30",)),
        ("It holds from 1 March 2025.", LEAVE, ()),
        ("It holds from 1 June 2025.", LEAVE, ("June",)),
        ("Bruno Adler knows more.", LEAVE, ()),
        ("Clara Adler knows more.", LEAVE, ("Clara",)),
        ("They cost 1,234.50 euros.", "Sum: 1.234,50 EUR", ()),
        ("They cost 12 %.", "a share of 11.7 percent", ()),
        ("About 1.2 million were sold.", "sold: 1204331", ()),
        ("Two of them failed.", "failed: 2 of 9", ()),
        ("It opens at 2 pm.", "Open from 14:00.", ()),
        ("Order PO-10023 is late.", "PO-10032 is late.", ("10023", "PO-10023")),
        ("Write to it@larkspur.example.", "Write to hr@larkspur.example.", ("it@larkspur.example",)),
        ("Die Frist beträgt 3 Monate.", "The notice period is three months.", ()),
        ("The Germans deliver.", "Supplier from Germany.", ()),
        ("", LEAVE, ()),
    ],
)
def test_figures_dates_and_names_must_stand_in_the_source(claim, source, missing):
    found = support(claim, [source])
    assert (found.supported, found.missing) == (not missing, missing)


def test_a_claim_may_rest_on_several_sources_together():
    assert support("Ada took 7 of her 25 days.", ["Ada took 7 days.", LEAVE]).supported
    assert not support("Ada took 7 of her 25 days.", [LEAVE]).supported


def test_words_of_something_else_leave_doubt_and_the_same_words_do_not():
    about_pads = "The brake pads are replaced by the mechanics after every long journey."
    assert support(about_pads, [LEAVE]).doubtful
    assert not support("Each employee has a right to days of leave that are paid.", [LEAVE]).doubtful


def test_what_is_quoted_is_supported_whatever_it_is():
    odd = "7x Ünïcode — Names Like These, all of 'em!"
    assert support(f"It says: {odd}", [f"Before. {odd} After."]).supported


def test_a_reference_stands_for_the_sentence_before_it():
    assert sentence_of("One is 1. Two is 2 ") == "Two is 2"
    assert sentence_of("| Site | Late |\n| Ghent | 12 |") == "| Ghent | 12 |"
    assert sentence_of(" ** ") == ""


async def released(text, *outcomes, **settings):
    kept = Evidence()
    for outcome in outcomes or (evidence(A, LEAVE), evidence(B, "Nordcell delivers in 35 days.")):
        kept.add(outcome)

    async def emit(_): ...

    release = Release(Reviewer(ReviewSettings(**settings), canary="kestrel-4711"), kept, emit)
    await release.feed(text)
    await release.finish()
    return release


ANSWER = f"You get 25 days [#{A}]. Nordcell needs 53 days [#{B}]. More is not known."


async def test_a_claim_without_support_loses_its_citation_and_says_so():
    release = await released(ANSWER)
    assert release.text == (
        "You get 25 days [1]. Nordcell needs 53 days (not confirmed by the source). More is not known."
    )
    assert [source.ref for source in release.sources("?") if source.cited] == [A]
    assert release.unsupported == 1


async def test_or_it_is_left_out_or_let_be():
    assert (await released(ANSWER, unsupported="drop")).text == "You get 25 days [1]. . More is not known."
    assert (await released(ANSWER, unsupported="keep")).text == (
        "You get 25 days [1]. Nordcell needs 53 days [2]. More is not known."
    )


async def test_references_side_by_side_support_their_claim_together():
    release = await released(f"Nordcell needs 35 days, leave is 25 [#{A}] [#{B}].")
    assert release.text == "Nordcell needs 35 days, leave is 25 [1][2]."


async def test_every_figure_of_a_row_must_stand_in_its_source():
    rows = evidence(A, "Nordcell 11 late, 11.5 days; Brightline 1 late, 2 days.")
    table = (
        f"| Supplier | Late | Delay |\n|---|---|---|\n| Nordcell | 11 | 11.5 [#{A}] |\n| Brightline | 4 | 2 [#{A}] |"
    )
    assert (await released(table, rows)).text == table.replace(f"11.5 [#{A}]", "11.5 [1]").replace(
        f"2 [#{A}]", "2 (not confirmed by the source)"
    )


async def test_what_a_tool_said_beside_its_evidence_counts_too():
    item = {"ref": A, "text": "Late orders by month", "document": "operations/late"}
    rows = '{"rows": [{"month": "2025-10", "late": 47}]}'
    release = await released(f"In October 47 were late [#{A}].", ToolOutcome("q__m", "ok", rows, {"evidence": [item]}))
    assert release.unsupported == 0


class Meanings:
    def __init__(self, likeness: float, delay_s: float = 0) -> None:
        self.likeness, self.delay_s, self.asked = likeness, delay_s, 0

    async def embed(self, texts):
        self.asked += 1
        await asyncio.sleep(self.delay_s)
        other = [self.likeness, (1 - self.likeness**2) ** 0.5]
        return np.array([[1.0, 0.0], *[other] * (len(texts) - 1)])


@pytest.mark.parametrize(
    ("embedder", "holds"),
    [(Meanings(0.9), True), (Meanings(0.1), False), (Meanings(0.9, delay_s=60), False), (None, False)],
)
async def test_in_doubt_the_meaning_decides_and_no_meaning_is_no_support(embedder, holds):
    kept = Evidence()
    kept.add(evidence(A, LEAVE))
    check = ClaimCheck(ReviewSettings(support_timeout_s=0.05), embedder)
    assert await check.holds(DOUBTFUL, [A], kept) is holds


async def test_meaning_is_not_asked_where_words_or_figures_decide():
    kept, embedder = Evidence(), Meanings(0.9)
    kept.add(evidence(A, LEAVE))
    check = ClaimCheck(ReviewSettings(), embedder)
    assert await check.holds("Every employee is entitled to paid leave.", [A], kept)
    assert not await check.holds("Every employee is entitled to 30 days.", [A], kept)
    assert embedder.asked == 0


async def test_a_check_that_breaks_supports_nothing():
    class Broken:
        async def embed(self, texts):
            raise RuntimeError("no weights")

    kept = Evidence()
    kept.add(evidence(A, LEAVE))
    assert not await ClaimCheck(ReviewSettings(), Broken()).holds(DOUBTFUL, [A], kept)


async def test_a_whole_turn_says_how_many_claims_it_left_out(house):
    bus = MemoryBus(knowledge__search=lambda _: evidence(A, LEAVE))
    answer = f"You get 25 days [#{A}].\nYou get a car [#{A}].\nClara Weiss decides on 99 days [#{A}]."
    home = house(
        script(plan(("a", "knowledge", ())), a=searching("knowledge__search", answer)),
        bus,
        review={"unsupported": "drop"},
    )
    result, _ = await result_of(home)
    assert result.unsupported == 1
    assert result.text.endswith("A statement was left out: the source that it names does not say so.")
    assert "Clara" not in result.text
