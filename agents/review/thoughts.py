"""Drops the thoughts that some servers leave in front of an answer, as `<think>…</think>`."""

_OPEN = "<think>"
_CLOSE = "</think>"


class WithoutThoughts:
    """Filters a stream; only what stands at its very start counts as a thought."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._done = False
        self._begun = False

    def filter(self, text: str) -> str:
        """What of `text`, and of what was held back before, belongs to the answer."""
        if self._begun:
            return text
        if self._done:  # the space between a thought and the answer is of no use
            text = text.lstrip() if self._thinking else text
            self._begun = bool(text)
            return text
        self._held += text
        if not self._thinking:
            start = self._held.lstrip()
            if not start.startswith(_OPEN):
                return "" if _OPEN.startswith(start) else self.end()
            self._thinking = True
        head, closed, answer = self._held.partition(_CLOSE)
        if not closed:
            self._held = head
            return ""
        self._done, self._held = True, ""
        return self.filter(answer)

    def end(self) -> str:
        """What is still held back, unless it is a thought."""
        held, self._held = self._held, ""
        self._done = self._begun = True
        return "" if self._thinking else held
