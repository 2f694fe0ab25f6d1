"""Ranks what could be called for one intent: by meaning, by words, by what fits into the parameters."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from inference.embedded.arguments import texts
from inference.embedded.arguments.filler import Filled, Words, fill
from inference.embedded.arguments.values import names
from inference.embedded.intents import ACTION_VERB, asks_for_rule, command_stem, wants_action
from inference.embedded.schemas import Offer, parameter_words
from inference.embedded.synonyms import with_synonyms
from inference.embedded.telling import telling_stems
from inference.embedded.text import Rarity, key_stems, stems
from inference.embedded.vectors import Vectors

_WRITE = re.compile(
    rf"^(?:{ACTION_VERB}|append|insert|modify|edit|put|patch|replace|grant|revoke|enable|disable|pay|refund"
    rf"|transfer|deploy"
    r"|execute|run_command|make|upsert|drop|purge|archive|restore|merge|kill)(?:_|s?\b)",
    re.IGNORECASE,
)
_READ = re.compile(
    r"^(?:get|list|find|search|query|read|look|fetch|show|describe|count|check|view|browse|run_select|report)", re.I
)
_WHICH = re.compile(r"(^|_)(id|ref|document|passage|path|file|url|uri|key|number)$", re.IGNORECASE)
_NO_FIT = 0.15
_FITS = 0.7
"""What one of many closed variants must reach, where question and variant are wholly spelled out; less is a guess."""
_FITS_KNOWN = 0.6
"""The same where the variant knows nearly every telling word of the question (`_KNOWN`)."""
_KNOWN = 0.75
_FITS_UNKNOWN = 0.85
"""The same where it knows fewer of them than `_COVERS`: what it speaks of may be another thing."""
_COVERS = 0.34
"""Share of the question that such a variant must know, unless it has a place for a name that stands in it."""
_FITS_A_RULE = 0.95
"""The same for a question that asks what must or may be: figures answer it by accident only."""
_FITS_UNTOLD = 0.5
"""What a tool must reach that lists things and is told nothing: only words about the list itself do."""
_FITS_UNSHOWN = 0.3
"""The same for a variant that gives no examples of what to ask."""
_STRANGER = 0.15
"""What a name in the question costs that a variant has no place for: its answer would be about everything else."""
_TIMELESS = 0.1
"""What a time in the question costs where a variant has none."""
_ONE_WORD = 0.6
"""How much a single telling word proves beside several."""
_ONLY_TAKER = 0.15
"""What it proves that a variant alone has a place for a value of the question."""
_CENTRAL = 0.1
"""What it proves that a closed value which a variant cannot do without stands in the question."""
_NAME_WORDS = 4
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_RECIPIENT = frozenset({"to", "recipient", "recipients", "email", "address", "attendees"})
_NEARLY = 0.25
_SEARCH = re.compile(r"search|find|query|look ?up|retrieve", re.IGNORECASE)


@dataclass(frozen=True)
class Ranked:
    """One offer with its filled arguments; `covered` is the share of the question's words that it knows."""

    offer: Offer
    score: float
    filled: Filled
    covered: float = 1.0


class Ranking:
    """One intent against all offers. `bare` is the intent without names; `meaning` has a likeness for each offer."""

    def __init__(self, text: str, bare: str, words: Words, offers: Sequence[Offer], meaning: Vectors) -> None:
        self._text = text
        self._words = words
        self._offers = offers
        self._meaning = meaning
        self._wanted = _telling(bare, words.today) or _telling(text, words.today) or key_stems(text)
        self._fillings = [fill(offer.schema, words) for offer in offers]
        pairs = list(zip(offers, self._fillings, strict=True))
        labels = [set(key_stems(offer.label)) for offer in offers]
        self._takers = Counter(each for offer, filled in pairs for each in _taken(offer, filled))
        held = set(stems(words.text))
        self._said = {each for each in self._takers if set(stems(each.replace("_", " "))) & held}
        # What some variant is called after, "recall", tells nothing about another that takes it as a value.
        self._telling = {each for each in self._said if not any(set(stems(each)) <= label for label in labels)}
        self._days = {day for offer, filled in pairs if offer.variant for day in _days(filled)}
        self._action = wants_action(text)
        self._tells = self._action and texts.told(text)
        self._verb = command_stem(text) if self._action else ""
        self._names = [name for name, _ in names(text) if key_stems(name)]

    def best(self, rarity: Rarity) -> Ranked | None:
        """The best offer, or one nearly as good for which nothing is missing."""
        ranked = self.all(rarity)
        if not ranked:
            return None
        complete = next((each for each in ranked if not each.filled.missing), ranked[0])
        return complete if ranked[0].score - complete.score <= _NEARLY else ranked[0]

    def all(self, rarity: Rarity) -> list[Ranked]:
        """Every offer that could be meant, best first."""
        ranked: list[Ranked] = []
        for offer, likeness, filled in zip(self._offers, self._meaning, self._fillings, strict=True):
            if (is_write(offer) and not self._action) or (not filled.named and _says_which(offer)):
                continue
            own, label = key_stems(text_of(offer)), key_stems(offer.label)
            covered = rarity.overlap(self._wanted, with_synonyms({*own, *_value_stems(offer, filled)}))
            named = rarity.overlap(self._wanted, with_synonyms(label))
            sure = 1.0 if len(self._wanted) > 1 else _ONE_WORD
            score = float(likeness) + sure * (0.4 * covered + 0.5 * named)
            score += 0.05 * min(filled.named, 3) - 0.1 * len(filled.missing) + (0.45 if filled.by_id else 0.0)
            score += self._of_values(offer, filled, own) if offer.variant else 0.0
            score += self._of_command(offer, own, label) if is_write(offer) else 0.0
            ranked.append(Ranked(offer, score, filled, covered))
        return sorted(ranked, key=lambda each: -each.score)

    def _of_values(self, offer: Offer, filled: Filled, own: Sequence[str]) -> float:
        """What the names, values and times in the words say for a variant that has a place for them, or has none."""
        taken = _taken(offer, filled)
        understood = {*own, *key_stems(offer.about), *_value_stems(offer, filled)}
        given = " ".join(map(str, filled.arguments.values())).lower()
        lost = [name for name in self._names if name.lower() not in given and not understood & set(key_stems(name))]
        score = -_STRANGER * (len(self._said - taken - understood) + bool(lost))
        score += _ONLY_TAKER * any(self._takers[each] == 1 for each in taken & self._telling)
        score += _CENTRAL * _is_central(offer, filled)
        return score - _TIMELESS * (bool(self._days) and not self._days & _days(filled))

    def _of_command(self, offer: Offer, own: Sequence[str], label: Sequence[str]) -> float:
        """What the verb of an order says for a tool that changes something."""
        receives = bool(self._tells and _RECIPIENT & set(offer.schema.get("properties", {})))
        said = 0.4 if self._verb in label[:1] else 0.2 if self._verb in own else -0.1
        return 0.25 + said + (0.4 if receives else 0.0)


def fits(best: Ranked, asked: str) -> bool:
    """Whether the best offer serves the question, or is only the least unlike of many."""
    if best.filled.by_id:
        return True
    if best.offer.variant and best.offer.examples:
        if asks_for_rule(asked):
            return best.score >= _FITS_A_RULE
        line = _FITS_KNOWN if best.covered >= _KNOWN else _FITS
        covers = 0.0 if _taken(best.offer, best.filled) else _COVERS
        return best.score >= line and (best.covered >= covers or best.score >= _FITS_UNKNOWN)
    if best.offer.variant:
        return best.score >= _FITS_UNSHOWN
    if not (best.filled.named or is_search(best.offer) or is_write(best.offer)):
        return best.score >= _FITS_UNTOLD
    return best.score >= _NO_FIT and (is_search(best.offer) or is_write(best.offer) or best.covered > 0)


def is_write(offer: Offer) -> bool:
    """Whether a tool changes something, judged by its name, then by how its description begins."""
    name = offer.tool.rsplit("__", 1)[-1]
    if _READ.match(name):
        return False
    return bool(_WRITE.match(name) or _WRITE.match(offer.description.lstrip()))


def is_search(offer: Offer) -> bool:
    """Whether a tool looks things up by free text."""
    properties = offer.schema.get("properties", {})
    return (
        not is_write(offer) and bool(_SEARCH.search(offer.label)) and bool({"query", "q", "question"} & set(properties))
    )


def looks_up(offers: Sequence[Offer]) -> list[Offer]:
    """The searches to ask for an answer; a server that acts searches for what it acts on, not for answers."""
    acting = {offer.server for offer in offers if is_write(offer)}
    return [offer for offer in offers if is_search(offer) and offer.server not in acting]


def text_of(offer: Offer) -> str:
    """Everything that an offer says about itself."""
    return f"{offer.label} {offer.description} {' '.join(offer.examples)} {parameter_words(offer.schema)}"


def _says_which(offer: Offer) -> bool:
    """Whether a reading tool must be told which thing to read, though its schema leaves every way to say it open."""
    if offer.variant or is_search(offer) or offer.schema.get("required"):
        return False
    return any(_WHICH.search(name) for name in offer.schema.get("properties", {}))


def _value_stems(offer: Offer, filled: Filled) -> set[str]:
    """Stems of the closed values and names that were found in the words: they are understood, whatever they are."""
    properties = offer.schema.get("properties", {})
    known = [
        str(value)
        for name, value in filled.arguments.items()
        if "enum" in properties.get(name, {}) or (offer.variant and len(str(value).split()) <= _NAME_WORDS)
    ]
    return set(stems(" ".join(known).replace("_", " ")))


def _taken(offer: Offer, filled: Filled) -> set[str]:
    """Closed values, and numbers with their name, that a variant took from the words."""
    properties = offer.schema.get("properties", {}) if offer.variant else {}
    taken: set[str] = set()
    for name, value in filled.arguments.items():
        part = properties.get(name, {})
        if "enum" in part:
            taken.add(str(value).lower())
        elif part.get("type") == "integer":
            taken.add(f"{name} {value}")
    return taken


def _days(filled: Filled) -> set[str]:
    return {str(value) for value in filled.arguments.values() if _DAY.fullmatch(str(value))}


def _is_central(offer: Offer, filled: Filled) -> bool:
    """Whether a closed value that the variant requires was found."""
    properties, required = offer.schema.get("properties", {}), offer.schema.get("required", ())
    return any(len(properties[name].get("enum", ())) > 1 for name in filled.arguments if name in required)


def _telling(text: str, today: date) -> tuple[str, ...]:
    return tuple(each for each in telling_stems(text, today) if not each.isdigit())
