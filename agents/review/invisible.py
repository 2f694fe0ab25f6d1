"""Removes characters that a reader cannot see and a program can read: hidden instructions, disguised words."""

import re
import unicodedata

_JOINERS = "\u200c\u200d"
_KEPT_CONTROLS = "\n\t"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class VisibleText:
    """Filters a stream character by character, so that how it was cut makes no difference."""

    def __init__(self) -> None:
        self._previous = ""

    def filter(self, text: str) -> str:
        """`text` without control, format, private and tag characters; joiners stay where scripts need them."""
        if text.isascii() and not _CONTROL.search(text):  # by far the most text
            self._previous = text[-1:] or self._previous
            return text
        kept: list[str] = []
        for char in text:
            if self._visible(char):
                kept.append(char)
                self._previous = char
        return "".join(kept)

    def _visible(self, char: str) -> bool:
        if char.isascii():
            return char.isprintable() or char in _KEPT_CONTROLS
        if char in _JOINERS:
            return bool(self._previous) and not self._previous.isascii()
        if "\U000e0100" <= char <= "\U000e01ef":
            return False
        return unicodedata.category(char) not in {"Cf", "Cc", "Co", "Cs", "Cn"}


def visible(text: str) -> str:
    """A whole text at once."""
    return VisibleText().filter(text)
