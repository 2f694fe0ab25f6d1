"""Cuts a stream of text into whole sentences, and holds back what is still open.

Where the cuts fall depends on the text alone, never on how it arrived: each cut is decided by what stands before it
and the one character after it.
"""

import re
from collections.abc import Iterator

_CITATIONS = r"(?:\s*\[#[^\]\n]{0,80}\])*"
_END = re.compile(rf"(?:[.!?…][\"'”’)\]*_`]*{_CITATIONS}\s+|[。！？]{_CITATIONS}|\n\s*)(?=[^\s\[])")
_OPEN_LINK = re.compile(r"!?\[(?:[^\]\n]|\n(?!\s*\n))*$|!?\[[^\]]*\]\((?:[^)\n]|\n(?!\s*\n))*$")
_OPEN_TAG = re.compile(r"<[A-Za-z/!](?:[^>\n]|\n(?!\s*\n))*$")
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t>*-]*\d{1,3}[.)][ \t]+$")
_DIGITS = re.compile(r"\d[\s\-–.]*$")


AT_ONCE = 2000
"""A text up to so many characters may be looked at as a whole; checks of a longer one could take long."""


def sentences_of(text: str, hold_chars: int) -> Iterator[str]:
    """A whole text in the pieces in which it would have left as a stream."""
    gate = SentenceGate(hold_chars)
    for start in range(0, len(text), hold_chars):
        yield from gate.feed(text[start : start + hold_chars])
    if rest := gate.end():
        yield rest


class SentenceGate:
    """Feed text in, get whole sentences out; `end` returns what is left, `discard` forgets it."""

    def __init__(self, hold_chars: int) -> None:
        self._hold_chars = hold_chars
        self._held = ""
        self._scanned = 0

    def feed(self, text: str) -> list[str]:
        """The sentences that `text` completes."""
        self._held += text
        sentences: list[str] = []
        while (cut := self._next_cut()) is not None:
            sentences.append(self._held[:cut])
            self._held = self._held[cut:]
            self._scanned = 0
        return sentences

    def end(self) -> str:
        """The rest, open or not."""
        return self.discard()

    def discard(self) -> str:
        """Forget what is held back; what that was."""
        held, self._held, self._scanned = self._held, "", 0
        return held

    def _next_cut(self) -> int | None:
        limit = self._hold_chars
        for match in _END.finditer(self._held, self._scanned):
            if match.end() > limit:
                break
            if _closed(self._held[: match.end()], self._held[match.end()]):
                return match.end()
            self._scanned = match.end()
        if len(self._held) <= limit:
            # A later character can move the end of trailing white space, so look at that part again.
            return None
        return _forced_cut(self._held[:limit])


def _closed(text: str, following: str) -> bool:
    if _LIST_NUMBER.search(text):
        return False
    if _OPEN_LINK.search(text) or _OPEN_TAG.search(text):
        return False
    return not (following.isdigit() and _DIGITS.search(text))


def _forced_cut(text: str) -> int:
    """Where to cut a piece that has grown too long: before what is open, else at the last space, else at its end."""
    for pattern in (_OPEN_LINK, _OPEN_TAG):
        if (match := pattern.search(text)) and match.start() > 0:
            return match.start()
    space = max(text.rfind(" "), text.rfind("\n")) + 1
    return space if space > 0 else len(text)
