"""Releases an answer piece by piece: sentence gate, reviewer, citations, then out. There is no other way out.

`AnswerSegment` is made here and nowhere else (`tests/agents/test_release.py` holds that).
"""

import re
from collections.abc import Awaitable, Callable

import structlog

from agents.citations import Citations
from agents.contracts import NEED, NO_ANSWER
from agents.evidence import Evidence
from agents.review.invisible import VisibleText
from agents.review.sentences import SentenceGate
from agents.review.verdict import Surroundings
from agents.reviewer import Reviewer
from inference.contracts import CallScope
from runs.events import AnswerSegment, Source

WITHHELD = "[Withheld: this part of the answer held {reason}.]"
_CONTEXT = 600
_MARK = re.compile(rf"^\W*{NO_ANSWER}\b[\s:.,;*_—–-]*", re.IGNORECASE)
_STRAY = re.compile(rf"\b{NO_ANSWER}\b[:.]?[ \t]*|(?:^|\n)[*_ \t]*{NEED}[^\n]*")

_log = structlog.get_logger(__name__)


class Release:
    """The released text of one run. `feed` drafts into it, `finish` or `discard` what it holds back."""

    def __init__(
        self,
        reviewer: Reviewer,
        evidence: Evidence,
        emit: Callable[[AnswerSegment], Awaitable[None]],
        calls: CallScope | None = None,
    ) -> None:
        self._calls = calls
        self._reviewer = reviewer
        self._evidence = evidence
        self._emit = emit
        self._gate = SentenceGate(reviewer.hold_chars)
        self._visible = VisibleText()
        self._citations = Citations(evidence, reviewer.claims)
        self._before = ""
        self._released: list[str] = []
        self.fed = False
        self.declined = False
        self.withheld = False

    @property
    def text(self) -> str:
        """Everything that was released."""
        return "".join(self._released)

    @property
    def unsupported(self) -> int:
        """How many cited claims their sources did not support."""
        return self._citations.unsupported

    def sources(self, question: str) -> tuple[Source, ...]:
        """All sources of the run, best first; quotes are masked like any text."""
        sources = self._evidence.report(self._citations.cited, question)
        return tuple(source.model_copy(update={"quote": self._reviewer.discreet(source.quote)}) for source in sources)

    async def feed(self, text: str) -> None:
        """More of the draft; whole sentences leave at once."""
        self.fed = self.fed or bool(text)
        if self.withheld:
            return
        for piece in self._gate.feed(self._visible.filter(text)):
            await self._let_out(piece)

    async def finish(self) -> None:
        """The draft is complete: the rest leaves."""
        await self._let_out(self._gate.end())

    def discard(self) -> None:
        """The draft turned out not to be the answer: what is held back never leaves."""
        self._gate.discard()

    async def add(self, paragraph: str) -> None:
        """A paragraph of our own after the draft, through the same gate."""
        await self.finish()
        if paragraph and not self.withheld:
            await self.feed(f"{self._gap()}{paragraph}" if self.text.strip() else paragraph)
            await self.finish()

    def _gap(self) -> str:
        """What makes a paragraph of what comes next."""
        return "\n" * (2 - (self.text[-2:].count("\n") if self.text.endswith("\n") else 0))

    async def _let_out(self, piece: str) -> None:
        if self.withheld or not piece:
            return
        piece = self._without_mark(piece)
        around = Surroundings(self._before, self._evidence.links_to, self._calls)
        verdict = await self._reviewer.review(piece, around)
        self._before = (self._before + piece)[-_CONTEXT:]
        if verdict.action != "release":
            _log.info("review.verdict", action=verdict.action, reason=verdict.reason)
        if verdict.action == "withhold":
            self.withheld = True
            self._gate.discard()
            await self._send(WITHHELD.format(reason=verdict.reason))
            return
        await self._send(await self._citations.resolve(verdict.text))

    def _without_mark(self, piece: str) -> str:
        if not self.text.strip() and (match := _MARK.match(piece)):
            self.declined = True
            piece = piece[match.end() :]
        return _STRAY.sub("", piece)

    async def _send(self, text: str) -> None:
        if not self._released:
            text = text.lstrip()
        if text:
            self._released.append(text)
            await self._emit(AnswerSegment(text=text))
