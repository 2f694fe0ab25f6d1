import json

from hypothesis import given
from hypothesis import strategies as st

from agents.citations import Citations
from agents.claims import ClaimCheck
from agents.evidence import MAX_QUOTE, Evidence, best_quote, reference
from agents.settings import ReviewSettings
from tests.agents.scripted import evidence
from toolbus.contracts import ToolOutcome

A, B = "aaaaaaaa", "bbbbbbbb"
UNCHECKED = ClaimCheck(ReviewSettings(unsupported="keep"))


def ledger(*outcomes):
    kept = Evidence()
    for outcome in outcomes:
        kept.add(outcome)
    return kept


async def test_known_references_become_numbers_in_order_and_unknown_ones_vanish():
    kept = ledger(evidence(A, "Alpha."), evidence(B, "Beta."))
    citations = Citations(kept, UNCHECKED)
    text = await citations.resolve(f"Beta is so [#{B}]. Alpha too [#{A}][#{B}]. Gamma never [#cccccccc].")
    assert text == "Beta is so [1]. Alpha too [2][1]. Gamma never."
    assert list(citations.cited) == [B, A]


async def test_the_many_ways_in_which_models_write_a_reference():
    citations = Citations(ledger(evidence(A, "Alpha."), evidence(B, "Beta.")), UNCHECKED)
    assert await citations.resolve(f"One [#{A}, #{B}].") == "One [1][2]."
    assert await citations.resolve(f"Two [{A}].") == "Two [1]."
    assert await citations.resolve(f"Three 【#{A}】.") == "Three [1]."
    assert await citations.resolve(f"Four [#{A.upper()}].") == "Four [1]."
    assert await citations.resolve("Five [#12], [#nothing at all].") == "Five,."


async def test_numbers_that_the_model_made_up_are_no_citations():
    citations = Citations(ledger(evidence(A, "Alpha.")), UNCHECKED)
    assert await citations.resolve("It is so [1]. And so [12][#aaaaaaaa].") == "It is so. And so [1]."
    assert await citations.resolve("values[0] and a[1] stay, [3](https://x.example) too") == (
        "values[0] and a[1] stay, [3](https://x.example) too"
    )


async def test_hexadecimal_words_in_brackets_that_are_no_reference_stay():
    assert (
        await Citations(Evidence(), UNCHECKED).resolve("Commit [deadbeef] broke it.") == "Commit [deadbeef] broke it."
    )


def test_a_passage_is_kept_once_with_its_best_score():
    kept = ledger(evidence(A, "Alpha.", score=0.4), evidence(A, "Alpha.", score=0.8))
    (source,) = kept.report({}, "alpha")
    assert source.score == 0.8


async def test_sources_are_sorted_cited_first_then_by_score():
    kept = ledger(
        evidence(A, "Alpha.", score=0.9), evidence(B, "Beta.", score=0.2), evidence("cccccccc", "C.", score=0.5)
    )
    citations = Citations(kept, UNCHECKED)
    await citations.resolve(f"Beta [#{B}].")
    assert [(source.ref, source.cited, source.number) for source in kept.report(citations.cited, "")] == [
        (B, True, 1),
        (A, False, None),
        ("cccccccc", False, None),
    ]


async def test_the_quote_is_the_sentence_that_the_claim_rests_on():
    text = "Opening hours are nine to five. Leave is 25 days a year. Lunch is at noon. Parking costs nothing."
    kept = ledger(evidence(A, text, start=100, end=100 + len(text)))
    citations = Citations(kept, UNCHECKED)
    await citations.resolve(f"You have 25 days of leave [#{A}].")
    (source,) = kept.report(citations.cited, "")
    assert source.quote == "Leave is 25 days a year."
    assert source.start == 100 + text.index("Leave")
    assert source.end == source.start + len(source.quote)


@given(st.text(max_size=900), st.text(max_size=60))
def test_a_quote_is_always_verbatim_and_short(text, claim):
    quote = best_quote(text, claim)
    assert quote in text
    assert len(quote) <= MAX_QUOTE


async def test_a_result_without_evidence_is_one_source_under_a_reference_of_its_own():
    kept = Evidence()
    (source,) = kept.add(ToolOutcome("weather__today", "ok", "Sunny, 21 °C."))
    assert source.ref == reference("Sunny, 21 °C.")
    assert source.document == "weather__today"
    citations = Citations(kept, UNCHECKED)
    assert kept.report(citations.cited, "") == ()
    assert await citations.resolve(f"It is sunny [#{source.ref}].") == "It is sunny [1]."
    assert [one.document for one in kept.report(citations.cited, "")] == ["weather__today"]


def test_what_failed_is_no_evidence():
    assert ledger(ToolOutcome("x", "error", "Broken."), ToolOutcome("x", "denied", "No.")).report({}, "") == ()


FIELDS = st.sampled_from(["ref", "text", "score", "page", "uri", "evidence", "heading"])
SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9)


@given(st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner), max_leaves=12))
def test_no_shape_of_a_third_partys_result_breaks_the_run(structured):
    kept = Evidence()
    kept.add(ToolOutcome("other__tool", "ok", json.dumps(structured), {"evidence": [structured]}))
    kept.add(ToolOutcome("other__tool", "ok", json.dumps(structured), structured))
    for source in kept.report({}, "question"):
        assert len(source.ref) == 8
