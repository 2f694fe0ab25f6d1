"""Greetings, thanks and questions about the assistant itself: said in one sentence, honestly."""

import re

_SELF = "Hello. I am Signalbox, answering without a language model at the moment."
_KINDS = (
    (
        re.compile(
            r"^\W*(?:no,? )?(?:many )?(?:thanks?|thank you|thx|cheers|great|perfect"
            r"|awesome|nice|got it|ok(?:ay)?|cool)\b"
            r"(?:\W+(?:a lot|so much|very much|you|thanks?|thank you|that helps?|that's all"
            r"|for \w+(?: \w+){0,3}))*\W*$",
            re.I,
        ),
        "You are welcome. Ask me whenever something else comes up.",
    ),
    (
        re.compile(
            r"^\W*(?:(?:ok(?:ay)?|thanks|thank you|good|well)\W+)?(?:good ?bye|good ?night|bye(?: bye)?|ciao|cheerio"
            r"|take care"
            r"|(?:see|talk to|speak to) (?:you|ya)(?: (?:later|soon|then|around|tomorrow|next week|on \w+day|\w+day))?"
            r"|(?:have|enjoy) (?:a|the|your) (?:nice |good |great )?(?:day|weekend|evening|rest))\W*$",
            re.I,
        ),
        "Goodbye.",
    ),
    (
        re.compile(
            r"^\W*(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|howdy|greetings)(?:\s+\w+){0,2}\W*"
            r"(?:how are you(?: doing)?(?: today)?\W*)?$|^\W*how are you(?: doing)?(?: today)?\W*$",
            re.I,
        ),
        "",
    ),
    (
        re.compile(
            r"^\W*(?:who|what) are you\W*$|^\W*what can you (?:do|help)(?: \w+){0,4}\W*$|^\W*(?:help|how can you help"
            r"(?: me)?|what (?:do you do|are you able to do))\W*$|^\W*are you (?:a (?:bot|human|robot|person)"
            r"|an? ai)\W*$",
            re.I,
        ),
        "",
    ),
)


def small_talk(message: str, abilities: str) -> str | None:
    """The reply to small talk; None when the message asks for something. `abilities` is said to greetings."""
    for pattern, reply in _KINDS:
        if pattern.match(message.strip()):
            return reply or f"{_SELF} {abilities}".strip()
    return None
