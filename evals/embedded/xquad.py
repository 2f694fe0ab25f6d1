"""How often the sentence with the answer comes first: XQuAD (English), test half of the articles.

`python -m evals.embedded.xquad DATA/retrieval/xquad-en`. Passages: the five best of all 240 paragraphs by convex fusion
of meaning and words. Weights were fitted on the other half of the articles (even numbers).
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evals.embedded.common import embedder
from inference.embedded.compose.evidence import Passage
from inference.embedded.compose.scoring import combine, lexical_scores
from inference.embedded.compose.units import Unit, meaning_of, units_of
from inference.embedded.text import Rarity, key_stems
from inference.embedded.vectors import VectorCache

_TOP = 5


def lines_of(path: Path) -> list[dict[str, Any]]:
    """A JSONL file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def best_passages(questions: Any, paragraphs: Any, asked: Sequence[str], texts: Sequence[str]) -> Any:
    """The five best paragraphs of every question with their scores."""
    held = [set(key_stems(text)) for text in texts]
    rarity = Rarity(held)
    words = np.array([[rarity.overlap(key_stems(question), each) for each in held] for question in asked])
    fused = 0.65 * _scaled(questions @ paragraphs.T) + 0.35 * _scaled(words)
    order = np.argsort(-fused, axis=1)[:, :_TOP]
    return order, np.take_along_axis(fused, order, axis=1)


def _scaled(table: Any) -> Any:
    low = table.min(axis=1, keepdims=True)
    return (table - low) / (np.ptp(table, axis=1)[:, None] + 1e-9)


def gold_units(units: Sequence[Unit], passages: Sequence[Passage], query: dict[str, Any]) -> set[int]:
    """The units that hold the start of an answer."""
    found: set[int] = set()
    at = 0
    for index, unit in enumerate(units):
        passage = passages[unit.passage]
        if passage.ref != query["metadata"]["pid"]:
            continue
        at = passage.text.find(unit.text, at)
        if any(at <= start < at + len(unit.text) for start in query["metadata"]["answer_start"]):
            found.add(index)
    return found


async def run(folder: Path) -> None:
    """Print hit@1, hit@3 and hit@5."""
    corpus, queries = lines_of(folder / "corpus.jsonl"), lines_of(folder / "queries.jsonl")
    queries = [query for query in queries if int(query["metadata"]["pid"].split("-")[0]) % 2]
    cache = VectorCache(embedder(), entries=50_000, timeout_s=300)
    texts = [f"{each['title']}. {each['text']}" for each in corpus]
    asked = [query["text"] for query in queries]
    questions, paragraphs = await cache.embed(asked), await cache.embed(texts)
    order, scores = best_passages(questions, paragraphs, asked, texts)
    ranks: list[int] = []
    for number, query in enumerate(queries):
        passages = [
            Passage(corpus[at]["_id"], corpus[at]["text"], corpus[at]["title"], score=float(score))
            for at, score in zip(order[number], scores[number], strict=True)
        ]
        units = units_of(passages)
        vectors = await cache.embed([meaning_of(unit) for unit in units])
        before = np.zeros_like(vectors)
        for index in range(1, len(units)):
            if units[index].passage == units[index - 1].passage:
                before[index] = vectors[index - 1]
        lexical = lexical_scores(query["text"], units, passages)
        total = combine(lexical, questions[number], list(range(len(units))), vectors, before).total
        gold = gold_units(units, passages, query)
        ranking = np.argsort(-total, kind="stable").tolist()
        ranks.append(min((ranking.index(index) for index in gold), default=999))
    print(f"questions {len(ranks)}: " + ", ".join(f"hit@{k} {np.mean(np.array(ranks) < k):.3f}" for k in (1, 3, 5)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    asyncio.run(run(parser.parse_args().folder))
