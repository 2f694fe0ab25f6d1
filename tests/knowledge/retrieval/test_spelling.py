import pytest

from knowledge.index.words import content_stems, content_words
from knowledge.service import KnowledgeService
from tests.knowledge.retrieval.helpers import ADA, make_document


@pytest.fixture
async def filled(minilm: KnowledgeService) -> KnowledgeService:
    texts = ["Fill in the questionnaire before you arrive.", "The Zwickl trailer has a ratio of four to one."]
    await minilm.store.put(*make_document("a.md", texts))
    await minilm.store.put(*make_document("b.md", ["The spring of the Quelltor lock is sold separately."]))
    return minilm


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("the questionaire", "Fill in"),  # one letter too few
        ("before I arrrive", "Fill in"),  # one too many
        ("what is the ratoi", "The Zwickl"),  # two that changed places
        ("the Zwuckl", "The Zwickl"),  # a wrong one, in a name that only the corpus knows
        ("Quelltro", "The spring"),
    ],
)
async def test_a_word_with_a_slip_is_found_by_its_words(filled: KnowledgeService, typed: str, meant: str) -> None:
    found = await filled.search(ADA, [typed])
    assert found.hits[0].chunk.text.startswith(meant)
    assert found.hits[0].signals["lexical"] > 0


@pytest.mark.parametrize("typed", ["sprint", "ratios", "Sprong's", "trailers", "lick", "Xylophonkonzert"])
async def test_words_of_the_language_and_words_like_no_other_stay_as_they_are(
    filled: KnowledgeService, typed: str
) -> None:
    """What is a word is not mended into one that the corpus happens to hold."""
    found = await filled.search(ADA, [typed])
    lexical = {hit.chunk.text[:10] for hit in found.hits if hit.signals["lexical"] > 0}
    assert lexical == {"ratios": {"The Zwickl"}, "trailers": {"The Zwickl"}}.get(typed, set())


async def test_a_text_full_of_unknown_words_is_searched_as_it_is(filled: KnowledgeService) -> None:
    found = await filled.search(ADA, ["zwuckl quelltro questionaire arrrive ratoio trauler separetly"])
    assert all(hit.signals["lexical"] == 0 for hit in found.hits)


def test_contractions_are_not_words_to_search_for() -> None:
    assert content_words("My boss's list doesn't show what I can’t see, won't it?") == ["boss", "list", "show", "see"]
    assert content_stems("They're ours; we'd say so") == ["our", "sai", "so"]
    assert content_words("l'eau d'ours") == ["l", "eau", "d", "ours"]
