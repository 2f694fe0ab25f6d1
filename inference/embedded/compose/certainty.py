"""How likely the evidence holds an answer: signs that can be read, each weighed by how much it varies.

`python -m evals.embedded.calibrate` makes the weights and the line, and says what they are worth (evals/README.md).
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from inference.embedded.compose.evidence import Passage
from inference.embedded.compose.scoring import Lexical, Scores
from inference.embedded.compose.units import Unit
from inference.embedded.compose.values import asked_kinds, holds_value

_NEAREST = 3
_WORDS_ALONE = 0.75
"""What all of a question's words count as likeness where no meaning was compared by the search."""
_FIELD = 5
_NO_VALUE = -0.75
"""A value of the kind that is asked for may be written in a way that is not known here."""

WEIGHTS, LINE = (5.0, 1.0, 2.0, 4.0, 1.0), 1.5
UNJUDGED_WEIGHTS, UNJUDGED_LINE = (10.7, 2.9, 2.9, 6.0), 5.8
"""Where the search did not judge."""
_SUREST = 0.997


@dataclass(frozen=True)
class Signs:
    """What speaks for an answer; all grow with it."""

    likeness: float
    """How near the nearest passage is to the question in meaning; where the search does not say (a language that its
    embedder does not know), the nearest units, or the words that are shared."""
    covered: float
    """Share of the question's words that occur in the evidence at all."""
    ahead: float
    """How far the best unit is ahead of the next five."""
    value: float
    """0 when the best unit holds the kind of value that is asked for, or none is asked for; else minus how far the best
    one that does is behind it, `_NO_VALUE` at most."""
    judged: float | None = None
    """The log-odds that the surest passage answers, where the search has judged."""


def signs_of(
    lexical: Lexical, scores: Scores, units: Sequence[Unit], passages: Sequence[Passage], shortlist: Sequence[int]
) -> Signs:
    """The signs for one question over the units that were compared in meaning."""
    listed = list(shortlist)
    fits = np.sort(scores.fit[listed])[::-1]
    best = float(fits[0])
    said = [passage.likeness for passage in passages if passage.likeness is not None]
    kinds = asked_kinds(lexical.question)
    holding = [float(scores.fit[i]) for i in listed if holds_value(kinds, units[i].text)] if kinds else [best]
    return Signs(
        likeness=max(said) if said else _likeness_of_units(lexical, scores, listed),
        covered=lexical.covered,
        ahead=best - float(fits[1 : 1 + _FIELD].mean()) if len(fits) > 1 else 0.0,
        value=max(max(holding, default=0.0) - best, _NO_VALUE),
        judged=_log_odds(passages),
    )


def _likeness_of_units(lexical: Lexical, scores: Scores, listed: Sequence[int]) -> float:
    meaning = np.sort(scores.meaning[listed])[::-1][:_NEAREST].mean()
    return float(max(meaning, _WORDS_ALONE * lexical.covered))


def _log_odds(passages: Sequence[Passage]) -> float | None:
    surest = max((passage.answers for passage in passages if passage.answers is not None), default=None)
    if surest is None:
        return None
    bounded = min(max(surest, 1 - _SUREST), _SUREST)
    return math.log(bounded / (1 - bounded))


def certainty(signs: Signs) -> float:
    """0..1; 0.5 at the line."""
    values = [value for value in astuple(signs) if value is not None]
    weights, line = (UNJUDGED_WEIGHTS, UNJUDGED_LINE) if signs.judged is None else (WEIGHTS, LINE)
    total = sum(weight * value for weight, value in zip(weights, values, strict=True))
    return 1 / (1 + math.exp(line - total))
