"""Which kind of value a question asks for (money, a time of day, a share, …), and whether a text holds one."""

import re
from dataclasses import dataclass

_NUMBER = (
    r"(?:\d[\d,.]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|sixty"
    r"|ninety|half|several)"
)
_UNIT_OF_TIME = r"(?:second|minute|min|hour|hr|day|week|month|quarter|year|yr)s?"
_MONTH = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
)
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?"


@dataclass(frozen=True)
class _Kind:
    asked: re.Pattern[str]
    held: re.Pattern[str]


def _kind(asked: str, held: str) -> _Kind:
    return _Kind(re.compile(asked, re.IGNORECASE), re.compile(held, re.IGNORECASE))


_COUNT = _kind(
    r"\bhow (?:many|big|large|far|high|tall|heavy)\b|\b(?:max\w*|min\w*|limit|fewest|most|largest|biggest|number of"
    r"|length|size)\b",
    rf"\b{_NUMBER}\b",
)
_KINDS = (
    _kind(
        r"\bhow much (?:does|is|do|can|could|would|will|may|extra|money|it|should|are)\b|\bhow expensive\b|\$"
        r"|\b(?:prices?|fees?|costs?|dollars?|euros?|salary|payout|reward|bonus|budget|spending)\b",
        r"[$€£]\s?\d|\b\d[\d,.]*\s?k\b|\b(?:dollars?|euros?|usd|eur|gbp)\b"
        r"|\b(?:free|no cost|no charge|not cost|unpaid)\b",
    ),
    _kind(
        r"\b(?:percent\w*|what share|share of|interest rate|what (?:part|portion|fraction) of|how much of)\b",
        r"\d\s?%|\bper ?cent\b|\b(?:half|third|quarter)\b",
    ),
    _kind(
        rf"\bhow many (?:[\w-]+ )?{_UNIT_OF_TIME}\b|\bhow (?:long|soon|quick\w*|fast|early|late|often|frequent\w*)\b"
        r"|\bhow far (?:ahead|in advance)\b|\b(?:deadline|turnaround|longest|shortest|cutoff|time limit)\b",
        rf"\b{_NUMBER}(?:[-–\s]+(?:to\s+)?{_NUMBER})?[-\s]*(?:\w+\s)?{_UNIT_OF_TIME}\b"
        r"|\b(?:daily|weekly|monthly|quarterly|annual\w*|yearly|every|once|twice|immediately)\b",
    ),
    _kind(  # "how long" is asked of texts and things, too
        r"\bhow long (?:must|should|can|may|is|are|does|do|need\w*|has|have)\b|\blength\b",
        rf"\b{_NUMBER}[-\s]*(?:\w+\s)?(?:characters?|letters?|digits?|signs?|words?|sentences?|lines?|pages?|slides?"
        r"|[cmk]?m|(?:kilo|centi|milli)?met(?:re|er)s?|feet|foot|ft|inch(?:es)?|miles?)\b",
    ),
    _kind(
        r"\b(?:what|which) (?:time|hours)\b|\bbetween what hours\b"
        r"|\bwhen (?:does|do|is|are)\b.*\b(?:open|close|shut|start|end)\b",
        r"\b\d{1,2}(?::\d\d)?\s?[ap]\.?m\b|\bnoon\b|\bmidnight\b|\b\d{1,2}:\d\d\b",
    ),
    _kind(
        r"\b(?:what|which) (?:week)?day\b|\bwhat (?:date|year|month)\b|^\W*date\b|^\W*when\b|\bdeadline\b|\blast day\b",
        rf"\b{_WEEKDAY}\b|\b{_MONTH}\b|\b(?:19|20)\d\d\b|\b\d{{1,2}}/\d{{1,2}}\b|\b(?:first|last|day)\b",
    ),
    _kind(
        r"\bphone\b|\btelephone\b|\bnumber to (?:ring|call|dial)\b", r"\d{3}[-.)\s]+\d{3}[-.\s]+\d{4}|\+\d[\d ()/-]{6,}"
    ),
)


def asked_kinds(question: str) -> tuple[re.Pattern[str], ...]:
    """What a value of each kind that the question asks for looks like; none when it asks for no value."""
    found = tuple(kind.held for kind in _KINDS if kind.asked.search(question))
    return found or ((_COUNT.held,) if _COUNT.asked.search(question) else ())


def holds_value(kinds: tuple[re.Pattern[str], ...], text: str) -> bool:
    """Whether the text holds a value of one of the kinds."""
    return any(kind.search(text) for kind in kinds)
