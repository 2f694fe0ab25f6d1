"""What the vector index returns is what comparing every visible vector would return."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from knowledge.index.dense import DenseIndex, DenseRow
from knowledge.settings import ChromaSettings

_SETS = 20
_ROWS = 2_000


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[tuple[DenseIndex, np.ndarray]]:
    chance = np.random.default_rng(3)
    basis = chance.standard_normal((8, 32)).astype(np.float32)
    vectors = chance.standard_normal((_ROWS, 8)).astype(np.float32) @ basis
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = DenseIndex(tmp_path / "chroma", ChromaSettings())
    index.lock()
    rows = [DenseRow(f"c{at}", f"d{at % 50}", at % _SETS, vector) for at, vector in enumerate(vectors)]
    await index.add("kb_test", rows)
    yield index, vectors
    await index.close()


@pytest.mark.parametrize("sets", [[3], [1, 2], list(range(10)), list(range(_SETS))])
async def test_the_nearest_visible_are_found_whatever_share_is_visible(
    filled: tuple[DenseIndex, np.ndarray], sets: list[int]
) -> None:
    index, vectors = filled
    for at in (5, 500, 1500):
        cosines = vectors @ vectors[at]
        best = [f"c{row}" for row in np.argsort(-cosines) if row % _SETS in sets][:50]
        found = [name for name, _ in await index.query("kb_test", vectors[at], sets, None, 50)]
        assert all(int(name[1:]) % _SETS in sets for name in found)
        assert len(set(found) & set(best)) >= 47
        again = [name for name, _ in await index.query("kb_test", vectors[at], sets, None, 50)]
        assert len(set(again) & set(best)) >= 47, "the second time it is remembered which way to ask"


async def test_documents_narrow_what_is_found(filled: tuple[DenseIndex, np.ndarray]) -> None:
    index, vectors = filled
    found = await index.query("kb_test", vectors[7], list(range(_SETS)), ["d7"], 100)
    assert {int(name[1:]) % 50 for name, _ in found} == {7}
    assert await index.query("kb_test", vectors[7], [], None, 10) == []


async def test_more_documents_than_one_question_can_name_narrow_as_well(filled: tuple[DenseIndex, np.ndarray]) -> None:
    index, vectors = filled
    others = [f"other{number}" for number in range(45_000)]
    for documents in (["d7", *others], [*others, "d7"]):
        for limit in (5, 100):
            found = await index.query("kb_test", vectors[7], list(range(_SETS)), documents, limit)
            few = await index.query("kb_test", vectors[7], list(range(_SETS)), ["d7"], limit)
            assert {name for name, _ in found} == {name for name, _ in few}
