"""What kind of answer a question wants, and whether a sentence has it."""

import re
from typing import Literal

AnswerType = Literal["number", "name", "reason", "steps", "definition", "yes_no", "link", "any"]

_NUMBER_WORD = (
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|sixty|ninety|hundred"
    r"|thousand"
    r"|million|billion|half|third|quarter|once|twice|daily|weekly|monthly|quarterly|annually|yearly"
)
_NUMBER = re.compile(rf"\d[\d,.:]*|\b(?:{_NUMBER_WORD})\b", re.IGNORECASE)
_WHEN_WORD = re.compile(
    r"\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|june|july|august|september"
    r"|october"
    r"|november|december|morning|noon|evening|immediately|before|after|within|until)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(because|due to|since|so that|in order to|as a result|reason|cause|therefore)\b", re.IGNORECASE
)
_LINK = re.compile(r"https?://|www\.|\b[\w-]+\.(?:gov|com|org|net|io|eu|app|dev)\b|[\w.+-]+@[\w-]+\.\w+", re.IGNORECASE)
_ADVICE = re.compile(
    r"\b(must|should|may|can|cannot|can't|need|needs|required|requires|allowed|not|never|only|recommend\w*|approv\w*"
    r"|permitted|prohibited|avoid|please)\b",
    re.IGNORECASE,
)
_DEFINES = re.compile(r"\b(is|are|means|refers to|stands for|defined as|called|known as)\b|\(", re.IGNORECASE)

_ANY: frozenset[AnswerType] = frozenset({"any"})
_ASKS: tuple[tuple[AnswerType, re.Pattern[str]], ...] = (
    (
        "steps",
        re.compile(
            r"\bhow (do|can|should|would|to|does one)\b|\bsteps?\b|\bprocedure\b|\bprocess (for|to)\b"
            r"|\binstructions?\b"
            r"|\bwhat (do|should|must) (i|we) do\b|\bwhat are the\b|\blist (of|the|all)\b|\bset ?up\b|\bwhich \w+s\b",
            re.IGNORECASE,
        ),
    ),
    (
        "number",
        re.compile(
            r"\bhow (many|much|long|old|far|tall|large|often|big|fast|high|soon|early|late|frequent\w*|close)\b"
            r"|\bwhen\b"
            r"|\bwhat (percent\w*|number|year|century|date|day|weekday|time|size|rate|age|share|amount)\b|\bat what\b"
            r"|\bhow \w+ (days|weeks|hours|months|years)\b"
            r"|\b(max\w*|min\w*|limit|fewest|least|most|length|frequency|deadline|cost|price|number of|population)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "link",
        re.compile(r"\b(website|url|link|e-?mail address|web page|site) (for|to|of|address)\b|\bwhere online\b", re.I),
    ),
    (
        "name",
        re.compile(
            r"\bwho(m|se)?\b|\bwhere\b|\b(which|what) (person|country|city|team|company|group|organi[sz]ation"
            r"|university"
            r"|office|agency|tool|channel|form|phase|stage|document|paper)\b|\bname\b|\bcontact\b",
            re.IGNORECASE,
        ),
    ),
    ("reason", re.compile(r"\bwhy\b|\bwhat (is|was) the (reason|cause|point|purpose)\b", re.IGNORECASE)),
    (
        "definition",
        re.compile(r"^\W*(what|who) (is|are|was|were) (an? |the )?[\w\s./-]{2,40}\??$|\bmean|\bstands? for\b", re.I),
    ),
    (
        "yes_no",
        re.compile(r"^\W*(is|are|am|was|were|do|does|did|can|could|may|should|must|will|would|has|have)\b", re.I),
    ),
)


def answer_types(question: str) -> frozenset[AnswerType]:
    """All kinds of answer that the question's words ask for; `any` when none is told."""
    found: frozenset[AnswerType] = frozenset(kind for kind, pattern in _ASKS if pattern.search(question))
    return found or _ANY


def numbers_in(text: str) -> frozenset[str]:
    """Numbers and number words, lower case."""
    return frozenset(found.lower().rstrip(".,:") for found in _NUMBER.findall(text))


def fits(types: frozenset[AnswerType], question: str, sentence: str) -> float:
    """How well the sentence's shape fits, 0..1: a number that the question lacks for "how many", a name for "who"."""
    return max(_fit(kind, question, sentence) for kind in types)


def _fit(kind: AnswerType, question: str, sentence: str) -> float:
    lower = question.lower()
    match kind:
        case "number":
            new = sum(number not in lower for number in numbers_in(sentence)) + bool(_WHEN_WORD.search(sentence)) * 0.5
            return min(new, 2) / 2
        case "name":
            names = re.findall(r"\b[A-Z][\w'’-]+", sentence[1:])
            return min(sum(name.lower() not in lower for name in names), 2) / 2
        case "reason":
            return 1.0 if _REASON.search(sentence) else 0.0
        case "link":
            return 1.0 if _LINK.search(sentence) else 0.0
        case "definition":
            return 0.8 if _DEFINES.search(sentence) else 0.2
        case "yes_no":
            return 0.7 if _ADVICE.search(sentence) else 0.2
        case _:
            return 0.3
