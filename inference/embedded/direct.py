"""A plain chat message that brings its own context: which part is the context, which the question."""

import re

from inference.embedded.compose.evidence import Evidence, Passage
from inference.embedded.prompt_reader import reference_of
from inference.embedded.text import sentences, words

_LABEL = re.compile(
    r"^\W*(?:context|passages?|documents?|text|article|source|background|evidence)\W*(?:\d+)?\W*:\s*|^-{3,}$|^```\w*$",
    re.IGNORECASE | re.MULTILINE,
)
_QUESTION = re.compile(r"^\W*(?:question|q|query|task)\s*:\s*(.+)$", re.IGNORECASE | re.MULTILINE)
_MIN_WORDS = 25


def passages_in(message: str) -> tuple[str, Evidence]:
    """The question, and the passages that stand beside it; no passages when the message is only a question."""
    labelled = _QUESTION.search(message)
    if labelled:
        question, rest = labelled.group(1).strip(), message.replace(labelled.group(0), "\n\n")
    else:
        asked = [sentence for sentence in sentences(message) if sentence.endswith("?")]
        if not asked:
            return message, Evidence(())
        question = max((asked[0], asked[-1]), key=len) if len(asked) > 1 else asked[0]
        question = question.splitlines()[-1].strip()
        rest = message.replace(question, "\n\n")
    parts = [part.strip() for part in _LABEL.split(rest) if part.strip()]
    paragraphs = [each.strip() for part in parts for each in re.split(r"\n{2,}", part) if len(words(each)) > 3]
    if not labelled and sum(len(words(each)) for each in paragraphs) < _MIN_WORDS:
        return message, Evidence(())
    passages = tuple(Passage(ref=reference_of(text), text=text, score=0.5) for text in paragraphs)
    return question, Evidence(passages)
