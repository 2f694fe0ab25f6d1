"""Turns the references that a model wrote into numbers, and drops those that no tool returned."""

import re

from agents.evidence import Evidence

_GROUP = re.compile(r"[ \t]*[\[【(]\s*#?[0-9a-fA-F]{8}(?:\s*[,;]\s*#?[0-9a-fA-F]{8})*\s*[\]】)]")
_HASHED = re.compile(r"[ \t]*[\[【]\s*#[^\]】\n]{0,80}[\]】]")
_NUMBERED = re.compile(r"(?:^|[ \t]+|(?<=[.!?,;:)]))\[\d{1,3}\](?!\(|:|\[(?!#))", re.MULTILINE)
_REF = re.compile(r"[0-9a-fA-F]{8}")


class Citations:
    """Numbers citations in order of appearance, over all pieces of one answer."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._numbers: dict[str, int] = {}
        self._quotes: dict[str, str] = {}
        self._claim = ""

    @property
    def cited(self) -> dict[str, tuple[int, str]]:
        """Reference to number and quote, in order of appearance."""
        return {ref: (number, self._quotes[ref]) for ref, number in self._numbers.items()}

    def resolve(self, text: str) -> str:
        """`text` with known references as `[n]`, without unknown ones and without numbers that a model made up."""
        text = _NUMBERED.sub(_without_number, text)
        pieces: list[str] = []
        position = 0
        for match in _GROUP.finditer(text):
            claim = text[position : match.start()]
            if claim.strip():
                self._claim = claim
            pieces.append(claim)
            pieces.append(self._marks(match))
            position = match.end()
        rest = text[position:]
        if rest.strip():
            self._claim = rest
        pieces.append(rest)
        return _HASHED.sub("", "".join(pieces))

    def _marks(self, match: re.Match[str]) -> str:
        group = match[0]
        refs = [ref.lower() for ref in _REF.findall(group)]
        known = [source.ref for source in map(self._evidence.find, refs) if source is not None]
        if not known:
            return "" if "#" in group else group
        lead = group[: len(group) - len(group.lstrip(" \t"))]
        return lead + "".join(f"[{self._number(ref)}]" for ref in dict.fromkeys(known))

    def _number(self, ref: str) -> int:
        if ref not in self._numbers:
            self._numbers[ref] = len(self._numbers) + 1
            self._quotes[ref] = self._evidence.quote(ref, self._claim)
        return self._numbers[ref]


def _without_number(match: re.Match[str]) -> str:
    """Nothing, but for the space before a real citation that follows."""
    follows = match.string[match.end() : match.end() + 1]
    return match[0][: match[0].index("[")] if follows == "[" else ""
