"""How well does a whole document fit a question, where its words stand in several passages?"""

from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from knowledge.index.lexical import LexicalIndex
from knowledge.index.words import content_words, stem
from knowledge.retrieve.answerable import Question
from knowledge.retrieve.candidates import Candidate
from knowledge.retrieve.fusion import scaled
from knowledge.schema import chunk
from knowledge.store.database import batches

_SATURATION, _LENGTH = 1.2, 0.75  # BM25's k1 and b
_COMMON = 5_000  # rows that hold a word, above which it tells too little for what counting it costs


async def by_documents(
    connection: AsyncConnection, lexical: LexicalIndex, question: Question, candidates: Iterable[Candidate]
) -> dict[str, float]:
    """For each candidate BM25 of its document among the candidates', stretched to 0..1.

    A document is a bag of passages here: a word counts once for each that holds it.
    """
    document_of = {item.chunk.chunk_id: item.document.document_id for item in candidates}
    documents = sorted(set(document_of.values()))
    words = [word for word in content_words(question.text) if 0 < question.frequencies.get(stem(word), 0) <= _COMMON]
    if not words or len(documents) < 2:
        return {}
    lengths = await _lengths(connection, documents)
    held: dict[str, Counter[str]] = {}
    for part in batches(documents):
        for word, counts in (await lexical.spread(connection, words, part)).items():
            held.setdefault(word, Counter()).update(counts)
    stems = {stem(word): counts for word, counts in held.items()}
    scores = weigh(question.weights, stems, lengths)
    return scaled({name: scores[document] for name, document in document_of.items()})


def weigh(
    weights: Mapping[str, float], held: Mapping[str, Mapping[str, int]], lengths: Mapping[str, int]
) -> dict[str, float]:
    """BM25 of documents, given each stem's weight, how many passages of each hold it, and how many each has."""
    mean = sum(lengths.values()) / len(lengths)
    scores: dict[str, float] = {}
    for document, length in lengths.items():
        floor = _SATURATION * (1 - _LENGTH + _LENGTH * length / mean)
        counts = ((weights.get(stemmed, 0.0), by.get(document, 0)) for stemmed, by in held.items())
        scores[document] = sum(weight * count * (_SATURATION + 1) / (count + floor) for weight, count in counts)
    return scores


async def _lengths(connection: AsyncConnection, documents: list[str]) -> dict[str, int]:
    """In how many passages each document is cut."""
    found: dict[str, int] = {}
    for part in batches(documents):
        query = select(chunk.c.document_id, func.count()).where(chunk.c.document_id.in_(part))
        for name, count in await connection.execute(query.group_by(chunk.c.document_id)):
            found[name] = int(count)
    return {name: found.get(name, 1) for name in documents}
