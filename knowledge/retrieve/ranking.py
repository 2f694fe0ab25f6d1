"""The order of one question's candidates: how well their best sentence, their document and their words fit, added up.

The weights were chosen on the validation questions and on half of the sets in evals/README.md. They multiply cosines
as they are, not stretched to the spread of one question: stretching lets the side decide that has the least to say.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from knowledge.embed.passages import Floats
from knowledge.retrieve.answerable import Passage, Question
from knowledge.retrieve.fusion import scaled

_DOCUMENT_FIT = 0.9  # of the mean of its best passages
_DOCUMENT_MEANING = 1.4  # of the cosine with all that it is about
_WORDS = 0.35  # of the lexical score as a share of the question's best
_BEST = 3
_JUDGED = 0.3  # of the probability that a passage answers, beside a score of 0..1
_LOOKED_AT = 0.8  # of the scale: what was looked at closely stands above the rest


def first_documents(scores: Mapping[str, float], passages: Mapping[str, Passage], limit: int) -> list[str]:
    """Ids of the documents that hold the best candidates."""
    best = sorted(scores, key=lambda name: (-scores[name], name))
    return list(dict.fromkeys(passages[name].document_id for name in best))[:limit]


def by_evidence(
    question: Question, passages: Mapping[str, Passage], lexical: Mapping[str, float], meanings: Mapping[str, Floats]
) -> dict[str, float]:
    """Each passage's fit with that of its document; `meanings` are the documents' directions, where there are any.

    A question whose words stand in several passages of a document has no best passage, but it has a best document.
    """
    fits = {name: passage.rank_fit(question) for name, passage in passages.items()}
    documents = _document_fits((passages[name].document_id, fit) for name, fit in fits.items())
    if question.vector is not None:
        for document, meaning in meanings.items():
            documents[document] += _DOCUMENT_MEANING * float(np.dot(question.vector, meaning))
    top = max(lexical.values(), default=0.0)
    return {
        name: fit
        + documents[passages[name].document_id]
        + (_WORDS * max(0.0, lexical.get(name, 0.0)) / top if top > 0 else 0.0)
        for name, fit in fits.items()
    }


def with_judgement(scores: Mapping[str, float], judged: Mapping[str, float]) -> dict[str, float]:
    """Scores of 0..1 with what a judge says of the best ones, its log-odds; 0..1 again."""
    return {
        name: (score + (_JUDGED * probability(judged[name]) if name in judged else 0.0)) / (1 + _JUDGED)
        for name, score in scores.items()
    }


def probability(log_odds: float) -> float:
    """Log-odds as 0..1."""
    return 1 / (1 + math.exp(-log_odds))


def above(better: Mapping[str, float], scores: Mapping[str, float]) -> dict[str, float]:
    """All scores as 0..1, those of `better` first."""
    rest = {name: (1 - _LOOKED_AT) * score for name, score in scaled(scores).items()}
    looked_at = {name: 1 - _LOOKED_AT + _LOOKED_AT * score for name, score in scaled(better).items()}
    return {**rest, **looked_at}


def _document_fits(fits: Iterable[tuple[str, float]]) -> dict[str, float]:
    held: dict[str, list[float]] = {}
    for document, fit in fits:
        held.setdefault(document, []).append(fit)
    return {name: _DOCUMENT_FIT * float(np.mean(sorted(values)[-_BEST:])) for name, values in held.items()}
