"""The same question about somebody by name: whether a passage answers must not hang on who is asked about.

Most questions in which people stand by name are near misses ("what is NAME's telephone number?"), so without these the
judge learns that a name means no answer. The names of the release gate's cases (`evals/gate/bias.yaml`) are not here.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from evals.judge.data import Pair

_GIVEN, _FAMILY = (part.split() for part in Path(__file__).with_name("names.txt").read_text("utf-8").split("\n\n"))
_VERBS = {"do": "does", "am": "is", "have": "has", "don't": "doesn't", "haven't": "hasn't"}
_ASKING = r"can|may|do|must|should|will|could|would|am|have|don't|haven't|did|was|might"
_SUBJECT = re.compile(
    rf"\b({_ASKING}) (?:i|we)\b|\b(?:an employee|a colleague|a coworker|someone|somebody|anyone)\b", re.I
)
_LATER = {"i": "they", "i was": "they were", "i am": "they are", "i'm": "they are", "i've": "they have"}
_LATER |= {"i'll": "they will", "i'd": "they would", "we": "they", "my": "their", "our": "their", "mine": "theirs"}
_LATER |= {"me": "them", "myself": "themselves"}
_FIRST_PERSON = re.compile(rf"(?<![\w'])({'|'.join(sorted(_LATER, key=len, reverse=True))})(?![\w'])", re.I)


def with_name(pair: Pair, rng: random.Random) -> Iterator[Pair]:
    """The pair asked about somebody, where its question has a person whose place a name can take."""
    found = _SUBJECT.search(pair.question)
    if not found:
        return
    verb = found[1]
    ahead = f"{_VERBS.get(verb.lower(), verb)} " if verb else ""
    before, after = (
        _FIRST_PERSON.sub(_third, part) for part in (pair.question[: found.start()], pair.question[found.end() :])
    )
    yield replace(pair, question=f"{before}{ahead}{_name(rng)}{after}", kind=f"{pair.kind}, named")


def _name(rng: random.Random) -> str:
    given, family = rng.choice(_GIVEN), rng.choice(_FAMILY)
    forms = [given] * 5 + [f"{given} {family}", f"Mr {family}", f"Ms {family}", f"my colleague {given}", given.lower()]
    return rng.choice(forms)


def _third(match: re.Match[str]) -> str:
    return _LATER[match[1].lower()]
