"""What is asked of the engine that it cannot do: to make up a text, to work over one, to calculate."""

import re

from inference.embedded.intents import clean

_TEXT_NOUN = (
    r"poems?|haikus?|stor(?:y|ies)|songs?|jokes?|limericks?|slogans?|essays?|speech(?:es)?|wish(?:es)?|taglines?|toast"
    r"|apolog(?:y|ies)|invitations?|announcements?|captions?|greetings?|summary of (?:the following|this|these|that)"
    r"|lyrics|rap|tweets?|blog|letter|paragraph|verses?|rhymes?|headlines?|ads?|adverts?|sketch|novel|script"
    r"|(?:an? )?names? for"
)
_COMPOSES = re.compile(
    r"^(?:(?:can|could|would|will) you (?:please )?|help me (?:to )?|i need (?:you to )?)?"
    r"(?:\w+ )?(?:write|compose|make up|invent|create|give|tell|think of|come up with|suggest|propose)\b"
    r"(?: (?!.*\bticket)[\w'-]+){0,5}?"
    rf" (?:{_TEXT_NOUN})\b|^draft\b|^(?:(?:can|could|would|will) you )?(?:please )?"
    r"(?:translate|rewrite|rephrase|reword|paraphrase|proofread|shorten"
    r"|(?:help me (?:to )?)?(?:phrase|word|formulate|express) (?:this|it|that|these)\b"
    r"|(?:correct|improve|polish|fix|check) (?:the |my |this |these )?"
    r"(?:grammar|spelling|wording|style|text|sentences?|typos?)"
    r"|make (?:it|this|that|the following|my \w+) (?:sound|read|look|more)\b"
    r"|summari[sz]e (?:this|that|it|these|the (?:following|text|above)|your)"
    r"|(?:make|keep) (?:it|this|that|your (?:\w+ )?(?:answer|reply|text)) (?:\w+ )?(?:shorter|longer|simpler"
    r"|clearer"
    r"|friendlier|formal|polite|briefer)"
    r"|(?:turn|convert|put|format|bring) (?:this|these|it|that|your|the following)\b)",
    re.IGNORECASE,
)
_CALCULATES = re.compile(
    r"^\W*(?:please )?(?:calculate|compute|add up|sum up|multiply|divide|subtract|convert)\b"
    r"|\b(?:add (?:them|these|those) up|multipl(?:y|ied) by|divided by)\b"
    r"|\d\s?%? of \$?\d|\d\s*(?:[*/×÷^]|\bplus\b|\bminus\b|\btimes\b)\s*\$?\d"
    r"|\b(?:add|put) .{3,60}\btogether\b|\bwhat is the (?:sum|product) of\b",
    re.IGNORECASE,
)
_LANGUAGES = (
    r"english|french|german|dutch|spanish|portuguese|italian|polish|swedish|norwegian|danish|finnish|czech|greek"
    r"|turkish|arabic|russian|ukrainian|chinese|japanese|korean|hindi"
)
_SAID_AGAIN = re.compile(
    rf"^\W*(?:(?:now|and|then|again|please|ok(?:ay)?)\W+)*(?:the same )?(?:in|into) (?:{_LANGUAGES})\W*$"
    r"|^\W*(?:(?:now|and|then|please)\W+)*(?:as|in|with) (?:\w+ )?(?:bullet points|bullets|an? table"
    r"|(?:one|two|three|\d) (?:sentences?|words?|lines?)|(?:plain|simple|other|fewer|easier) words|an? e-?mail)\W*$"
    r"|^\W*(?:(?:now|and|then|please)\W+)*(?:say|repeat|put|write|express) (?:it|this|that|your (?:last )?answer)"
    r" (?:again )?(?:in|as|more|less|with)\b"
    r"|^\W*(?:(?:now|and|then|please)\W+)*(?:shorter|longer|simpler|friendlier|more (?:formal|polite|detailed))\W*$",
    re.IGNORECASE,
)
_AMOUNT = r"\d[\d,.]*"
_SUM = re.compile(
    rf"\b{_AMOUNT}\s*(?:times|plus|minus|divided by|multiplied by|to the power of|[×÷*+^]|\bx\b)\s*{_AMOUNT}"
    rf"|\b{_AMOUNT}\s?(?:%|percent) of {_AMOUNT}\b"
    rf"|\b(?:calculate|compute|add up|sum up|add together|add|divide|multiply|subtract|average|square root of)\b"
    rf"\D*{_AMOUNT}\D+{_AMOUNT}"
    rf"|\b(?:sum|average|mean|product|difference|total) of {_AMOUNT}\s*(?:,|and)\s*{_AMOUNT}"
    r"|\bsquare root of \d",
    re.IGNORECASE,
)


def composes(text: str) -> bool:
    """Whether the words ask for a text to be made up or worked over: "write a poem", "translate this", "in French"."""
    return bool(_COMPOSES.search(clean(text)) or _SAID_AGAIN.search(text))


def calculates(text: str) -> bool:
    """Whether the words ask for arithmetic on what texts say: "add up the two allowances", "what is 15 % of 240"."""
    return bool(_CALCULATES.search(clean(text))) or is_sum(text)


def is_sum(text: str) -> bool:
    """Whether the words ask to calculate with numbers that they hold themselves: "15 times 17", "20% of 340"."""
    return bool(_SUM.search(text))


def is_beyond(text: str) -> bool:
    """Whether nothing that could be looked up or done is asked for: a text to be made, or a sum of given numbers."""
    return composes(text) or is_sum(text)
