"""Names that the closed values of tools make known: a question is about the same whichever of them it names."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from inference.embedded.arguments.dates import find_periods
from inference.embedded.schemas import Offer
from inference.embedded.text import folded

_MAX_VALUES = 2000
_ORDINARY = re.compile(r"[a-z]+")


class Entities:
    """Every proper name among the closed values of the offers, with the parameter that takes it."""

    def __init__(self, offers: Sequence[Offer]) -> None:
        spelled: dict[str, str] = {}
        for offer in offers:
            for spelling, parameter in _proper_values(offer.schema):
                spelled.setdefault(spelling.lower(), parameter)
                spelled.setdefault(folded(spelling).lower(), parameter)
        kept = sorted(spelled, key=len, reverse=True)[:_MAX_VALUES]
        self._parameter = {spelling: spelled[spelling] for spelling in kept}
        self._pattern = (
            re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, kept))})(s|es)?(?![\w-])", re.I) if kept else None
        )

    def masked(self, text: str, today: date) -> str:
        """The text with each name replaced by what it is a name of, and without its dates."""
        bare = text
        for period in reversed(find_periods(text, today)):
            bare = f"{bare[: period.at[0]]}{bare[period.at[1] :]}"
        for match in reversed(list(self._matches(bare))):
            what = self._parameter[match[1].lower()].replace("_", " ")
            bare = f"{bare[: match.start()]}{what}{match[2] or ''}{bare[match.end() :]}"
        return bare if _ORDINARY.search(bare) else text

    def removed(self, text: str) -> str:
        """The text without the names."""
        for match in reversed(list(self._matches(text))):
            text = f"{text[: match.start()]} {text[match.end() :]}"
        return text

    def _matches(self, text: str) -> Iterator[re.Match[str]]:
        if self._pattern is None:
            return
        cased = any(letter.isupper() for letter in text[1:])
        for match in self._pattern.finditer(text):
            # In a text with capitals, a word without one is the word, not the name: "people", not the department.
            if not (cased and match[1].islower() and " " not in match[1]):
                yield match


def _proper_values(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for parameter, part in schema.get("properties", {}).items():
        values: Iterable[Any] = part.get("enum") or part.get("items", {}).get("enum") or ()
        for value in map(str, values):
            if len(value) > 1 and (value[0].isupper() or any(letter.isdigit() for letter in value)):
                yield value, parameter
                before_number = re.match(r"(.*?[^\W\d_]{4,})\s+\d", value)
                if before_number:
                    yield before_number[1], parameter
