"""Turns the references that a model wrote into numbers, and drops those that no tool returned."""

import re
from collections.abc import Iterator, Sequence

from agents.claims import ClaimCheck
from agents.evidence import Evidence
from agents.support import sentence_of

UNSUPPORTED = " (not confirmed by the source)"

_GROUP = re.compile(r"[ \t]*[\[【(]\s*#?[0-9a-fA-F]{8}(?:\s*[,;]\s*#?[0-9a-fA-F]{8})*\s*[\]】)]")
_HASHED = re.compile(r"[ \t]*[\[【]\s*#[^\]】\n]{0,80}[\]】]")
_NUMBERED = re.compile(r"(?:^|[ \t]+|(?<=[.!?,;:)]))\[\d{1,3}\](?!\(|:|\[(?!#))", re.MULTILINE)
_REF = re.compile(r"[0-9a-fA-F]{8}")


class Citations:
    """Numbers citations in order of appearance, over all pieces of one answer; a claim that they do not support loses
    them, and is marked or left out.
    """

    def __init__(self, evidence: Evidence, claims: ClaimCheck) -> None:
        self._evidence = evidence
        self._claims = claims
        self._numbers: dict[str, int] = {}
        self._quotes: dict[str, str] = {}
        self._claim = ""
        self.unsupported = 0

    @property
    def cited(self) -> dict[str, tuple[int, str]]:
        """Reference to number and quote, in order of appearance."""
        return {ref: (number, self._quotes[ref]) for ref, number in self._numbers.items()}

    async def resolve(self, text: str) -> str:
        """`text` with known references as `[n]`, without unknown ones and without numbers that a model made up."""
        text = _NUMBERED.sub(_without_number, text)
        pieces: list[str] = []
        position = 0
        for start, groups in _runs(text):
            claim = text[position:start]
            if claim.strip():
                self._claim = claim
            marks, holds = await self._marks(groups)
            if not holds and self._claims.drops and claim.strip():
                claim = claim[: len(claim) - len(sentence_of(claim)) - _trailing(claim)] if sentence_of(claim) else ""
            pieces += [claim, marks]
            position = groups[-1].end()
        rest = text[position:]
        if rest.strip():
            self._claim = rest
        pieces.append(rest)
        return _HASHED.sub("", "".join(pieces))

    async def _marks(self, groups: Sequence[re.Match[str]]) -> tuple[str, bool]:
        """What stands in the place of references that follow each other, and whether they support their claim."""
        sources = [[self._evidence.find(ref.lower()) for ref in _REF.findall(group[0])] for group in groups]
        known = [source.ref for found in sources for source in found if source is not None]
        lead = groups[0][0][: len(groups[0][0]) - len(groups[0][0].lstrip(" \t"))]
        if not known:
            return "".join("" if "#" in group[0] else group[0] for group in groups), True
        if not await self._claims.holds(self._claim, known, self._evidence):
            self.unsupported += 1
            return ("" if self._claims.drops else UNSUPPORTED), False
        return lead + "".join(f"[{self._number(ref)}]" for ref in dict.fromkeys(known)), True

    def _number(self, ref: str) -> int:
        if ref not in self._numbers:
            self._numbers[ref] = len(self._numbers) + 1
            self._quotes[ref] = self._evidence.quote(ref, self._claim)
        return self._numbers[ref]


def _runs(text: str) -> Iterator[tuple[int, list[re.Match[str]]]]:
    """References that stand side by side belong to one claim; where each such run begins, and its references."""
    run: list[re.Match[str]] = []
    for match in _GROUP.finditer(text):
        if run and text[run[-1].end() : match.start()].strip():
            yield run[0].start(), run
            run = []
        run.append(match)
    if run:
        yield run[0].start(), run


def _trailing(claim: str) -> int:
    return len(claim) - len(claim.rstrip())


def _without_number(match: re.Match[str]) -> str:
    """Nothing, but for the space before a real citation that follows."""
    follows = match.string[match.end() : match.end() + 1]
    return match[0][: match[0].index("[")] if follows == "[" else ""
