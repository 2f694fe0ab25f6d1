"""Words of work that mean the same to somebody who asks: a clerk's "vendor" is the schema's "supplier"."""

import re
from collections.abc import Iterable

from inference.embedded.text import stem
from inference.embedded.vocabulary import listed

_GROUPS = (
    "late overdue delayed delay tardy",
    "open unresolved outstanding pending ongoing unsolved unfinished",
    "closed resolved solved finished completed",
    "supplier vendor",
    "customer client",
    "revenue turnover income earnings money",
    "sale sales sell sold selling",
    "employee staff people headcount worker workforce personnel team",
    "stock inventory available availability",
    "delivery deliveries shipment consignment arrive arrival incoming inbound",
    "scrap scrapped waste rejects discarded",
    "return returned returns",
    "incident incidents outage failure breakdown trouble",
    "complaint complain complained",
    "repair repaired fix fixed mend",
    "average mean",
    "share percentage percent rate proportion ratio",
    "build built produce produced manufacture manufactured production output",
    "price cost costs fee",
    "site location place",
    "message mail email",
    "phone telephone extension",
    "manager boss head lead leader",
    "broken defective faulty",
    "reliable reliability punctual punctuality",
    "holiday leave vacation",
    "reorder replenish",
    "reserved allocated",
    "quarantine quarantined blocked",
    "solve resolve resolution",
)
_SAME: dict[str, frozenset[str]] = {}
for _group in _GROUPS:
    _stems = frozenset(stem(word) for word in listed(_group))
    for _each in _stems:
        _SAME[_each] = _SAME.get(_each, frozenset()) | _stems


def with_synonyms(stems: Iterable[str]) -> set[str]:
    """The stems and those of words that mean the same."""
    return {same for each in stems for same in _SAME.get(each, (each,))}


_PHRASES = tuple(
    (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), plain)
    for pattern, plain in (
        (r"sold out|all gone|none left|ran dry", "out of stock"),
        (r"(?:are|were) we (?:all )?out of", "are we out of stock of"),
        (r"(?:still )?on (?:its|their|the) way|in transit", "incoming, still to come"),
        (r"(?:sent|come|comes|came|coming|going) back", "returned"),
        (r"thr(?:ow|ows|own|ew) away|bin(?:ned|ning)", "scrapped"),
        (r"past (?:its|their|the) (?:promised|due|agreed) dates?|past due|behind schedule", "late"),
        (r"(?:went|goes|gone|go|going|was|is) down", "failed"),
        (r"brought in|came in|bring in", "revenue"),
        (r"went out(?: of the door)?|left the (?:house|building|factory|warehouse)", "shipped"),
    )
)


def rephrased(text: str) -> str:
    """The text with idioms said plainly."""
    for pattern, plain in _PHRASES:
        text = pattern.sub(plain, text)
    return text
