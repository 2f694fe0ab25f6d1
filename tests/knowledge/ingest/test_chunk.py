"""Passages: exact places, every word once, sections kept whole where they fit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot

from knowledge.chunk import chunk_document, estimate_tokens
from knowledge.contracts import Block, ParsedDocument
from knowledge.parse.draft import Piece, assemble

WORDS = st.text(alphabet="abcdeé .!?:;-\u4e2d\u3002", min_size=1, max_size=300).filter(str.strip)
PIECES = st.lists(
    st.builds(
        lambda kind, text, level: Piece(
            kind,
            " ".join(text.split()) if kind in {"heading", "prose"} else text.strip(),
            level if kind == "heading" else 0,
        ),
        st.sampled_from(["prose", "list", "table", "code", "heading"]),
        st.one_of(WORDS, st.lists(WORDS, min_size=1, max_size=12).map("\n".join)),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=12,
)


def document(*pieces: Piece) -> ParsedDocument:
    text, placed = assemble(pieces)
    return ParsedDocument(
        title="T", text=text, media_type="text/plain", blocks=tuple(Block(**block.fields()) for block in placed)
    )


def words(count: int) -> str:
    return " ".join(f"word{n}" for n in range(count))


@settings(max_examples=150, deadline=None)
@given(pieces=PIECES, limit=st.integers(32, 80))
def test_every_passage_is_where_it_says_and_no_word_is_lost_or_doubled(pieces, limit):
    parsed = document(*pieces)
    chunks = chunk_document(parsed, "d", max_tokens=limit)
    at = 0
    for number, chunk in enumerate(chunks):
        assert parsed.text[chunk.start : chunk.end] == chunk.text
        assert chunk.ordinal == number
        assert chunk.start >= at
        assert not parsed.text[at : chunk.start].strip()
        assert chunk.text == chunk.text.strip()
        assert estimate_tokens(chunk.text) <= limit
        at = chunk.end
    assert not parsed.text[at:].strip()
    assert len({chunk.chunk_id for chunk in chunks}) == len(chunks)


def test_a_section_is_one_passage_with_its_heading():
    parsed = document(
        Piece("heading", "Leave", 1),
        Piece("heading", "Days", 2),
        Piece("prose", "You have 26 days."),
        Piece("list", "- Ghent\n- Porto"),
        Piece("heading", "Asking", 2),
        Piece("prose", "Ask your manager."),
        Piece("heading", "Last", 2),
    )
    assert [(chunk.headings, chunk.text) for chunk in chunk_document(parsed, "d")] == snapshot(
        [
            (
                ("Leave", "Days"),
                """\
Leave

Days

You have 26 days.

- Ghent
- Porto\
""",
            ),
            (
                ("Leave", "Asking"),
                """\
Asking

Ask your manager.

Last\
""",
            ),
        ]
    )


def test_a_long_section_is_cut_between_sentences():
    sentences = [f"{words(20).capitalize()} number {n}." for n in range(30)]
    chunks = chunk_document(document(Piece("prose", " ".join(sentences))), "d")
    assert len(chunks) > 1
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_an_abbreviation_does_not_end_a_sentence():
    text = "Call Dr. Maes, e.g. On Mondays. " + "The next sentence says something else. " * 12
    chunks = chunk_document(document(Piece("prose", text.strip())), "d", max_tokens=32)
    assert chunks[0].text.startswith("Call Dr. Maes, e.g. On Mondays.")


def test_steps_stay_together_with_what_introduces_them():
    steps = "\n".join(f"{n}. {words(12)}" for n in range(1, 9))
    parsed = document(
        Piece("prose", " ".join(f"{words(10)}." for _ in range(16))), Piece("prose", "Do this:"), Piece("list", steps)
    )
    chunks = chunk_document(parsed, "d")
    assert chunks[-1].text == f"Do this:\n\n{steps}"
    assert (chunks[-1].kind, len(chunks)) == ("list", 2)


def test_rows_of_a_long_table_are_never_cut_and_each_carries_its_header():
    rows = [f"Site: Ghent; Day: {n}; Note: {words(10)}" for n in range(60)]
    chunks = chunk_document(document(Piece("table", "\n".join(rows))), "d")
    assert len(chunks) > 2
    assert [line for chunk in chunks for line in chunk.text.split("\n")] == rows
    assert {chunk.kind for chunk in chunks} == {"table"}


def test_the_given_tokenizer_decides():
    parsed = document(Piece("prose", f"{words(40)}. {words(40)}."))
    assert len(chunk_document(parsed, "d", count_tokens=len)) > len(chunk_document(parsed, "d"))


def test_ids_stay_while_the_text_stays():
    before = chunk_document(document(Piece("prose", "One."), Piece("heading", "A", 1), Piece("prose", "Two.")), "d")
    after = chunk_document(document(Piece("prose", "Other."), Piece("heading", "A", 1), Piece("prose", "Two.")), "d")
    assert before[1].chunk_id == after[1].chunk_id
    assert before[0].chunk_id != after[0].chunk_id


@pytest.mark.parametrize("text", [words(10_000), "QUJDRA9+" * 10_000, "x" * 80_000, "word" + " " * 80_000 + "word"])
def test_a_line_without_sentences_costs_what_its_length_costs(text):
    looked_at = 0

    def count(part: str) -> int:
        nonlocal looked_at
        looked_at += len(part)
        return estimate_tokens(part)

    parsed = document(Piece("code", text))
    chunks = chunk_document(parsed, "d", count_tokens=count)
    assert looked_at < 100 * len(text)
    assert "".join(chunk.text for chunk in chunks).replace(" ", "") == text.replace(" ", "")


def test_a_tokenizer_that_counts_less_for_more_text_still_finds_the_longest_piece():
    text = "1234567a" * 400  # a prefix that ends in a digit has more pieces than the next letter leaves
    chunks = chunk_document(document(Piece("code", text)), "d", max_tokens=32)
    assert "".join(chunk.text for chunk in chunks) == text
    assert all(estimate_tokens(chunk.text) <= 32 for chunk in chunks)


@pytest.mark.slow
@pytest.mark.parametrize(
    "pieces",
    [
        [Piece("code", "x" + "\n" * 1_000_000 + "y")],
        [Piece("heading", f"Heading {n}", 1) for n in range(20_000)],
        [Piece("prose", f"Line {n}") for n in range(40_000)],
    ],
    ids=["blank lines", "headings only", "many short pieces"],
)
def test_blank_lines_and_many_pieces_are_cut_within_the_deadline_of_a_test(pieces):
    assert chunk_document(document(*pieces), "d")
