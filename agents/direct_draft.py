"""What a bare model says, on its way through the gate: text by sentences, tool calls and JSON as a whole.

Thoughts never leave. A text that is withheld is told in the text; where a program reads the answer (a tool call, a
structured answer) nothing is put in its place: `finish_reason` says `content_filter`, `refusal` says why.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agents.release import WITHHELD
from agents.review.invisible import VisibleText
from agents.review.json_values import look_at_json
from agents.review.sentences import AT_ONCE, SentenceGate, sentences_of
from agents.review.thoughts import WithoutThoughts
from agents.review.verdict import Action, Surroundings, Verdict
from agents.reviewer import Reviewer
from inference.direct_body import tool_names, wants_json
from inference.errors import ModelFault

_CONTEXT = 600
_URL = re.compile(r"https?://[^\s<>\"')\]\\]+")
_OWN = frozenset({"system", "developer", "user"})


@dataclass(frozen=True, slots=True)
class Piece:
    """What may leave next; `calls` are whole tool calls in wire form, with their index."""

    text: str = ""
    calls: tuple[dict[str, Any], ...] = ()
    refusal: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.calls or self.refusal)


class Draft:
    """One answer in the making: `add` deltas and see what is `ready`, or the whole message; then `finish`."""

    def __init__(self, reviewer: Reviewer, body: Mapping[str, Any], *, streamed: bool) -> None:
        self._reviewer = reviewer
        self._body = body
        self._structured = wants_json(body)
        self._at_once = self._structured or not streamed
        self._links = _CallersLinks(body)
        self._thoughts = WithoutThoughts()
        self._visible = VisibleText()
        self._gate = SentenceGate(reviewer.hold_chars)
        self._before = ""
        self._new: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, _Call] = {}
        self.verdict: Action = "release"
        self.reasons: list[str] = []
        self.called = False

    @property
    def withheld(self) -> bool:
        """Whether nothing more of it leaves."""
        return self.verdict == "withhold"

    def add(self, message: Mapping[str, Any]) -> None:
        """More of the answer. Raises `ModelFault` for another shape."""
        try:
            if calls := message.get("tool_calls"):
                for position, part in enumerate(calls):
                    self._calls.setdefault(part.get("index", position), _Call()).add(part)
            if refusal := message.get("refusal"):
                self._refusal.append(refusal)
            if text := message.get("content"):
                self._new.append(self._thoughts.filter(text))
        except (AttributeError, TypeError) as error:
            raise ModelFault("The model server sent something that is not a chat completion.") from error

    async def ready(self) -> str:
        """The whole sentences of what was added since, as far as they may leave."""
        if self._at_once or self.withheld or not self._new:
            return ""
        sentences = self._gate.feed(self._visible.filter("".join(self._new)))
        self._new.clear()
        return await self._sentences(sentences)

    async def finish(self) -> Piece:
        """The answer is complete: what is left of it, as far as it may leave."""
        if self.withheld:
            return _NOTHING
        rest = "".join([*self._new, self._thoughts.end()])
        if self._structured:
            text = await self._json(rest) if rest else ""
        else:
            text = await self._rest(self._visible.filter(rest))
        refusal = await self._sentence("".join(self._refusal)) if self._refusal and not self.withheld else ""
        calls: list[dict[str, Any]] = []
        for index, call in sorted(self._calls.items()):
            if self.withheld or (calls and self._body.get("parallel_tool_calls") is False):
                break
            if reviewed := await self._call(index, call):
                calls.append(reviewed)
        if self.withheld and (self._structured or self._calls):
            return Piece(refusal=WITHHELD.format(reason=self.reasons[-1]))
        self.called = bool(calls)
        return Piece(text, tuple(calls), refusal)

    async def _rest(self, text: str) -> str:
        """All that is left."""
        text = self._gate.end() + text
        if len(text) <= AT_ONCE:  # as a rule nothing is wrong with it, and it need not even be cut
            verdict = await self._reviewer.review(text, self._around())
            if verdict.action == "release":
                return text
        return await self._sentences(list(sentences_of(text, self._reviewer.hold_chars)))

    async def _sentences(self, sentences: Sequence[str]) -> str:
        """Those that came at once are looked at together; only where something is wrong with them, one by one."""
        whole = "".join(sentences)
        if len(sentences) > 1 and len(whole) <= AT_ONCE:
            verdict = await self._reviewer.review(whole, self._around())
            if verdict.action == "release":
                self._before = (self._before + whole)[-_CONTEXT:]
                return whole
        out = ""
        for sentence in sentences:
            if sentence and not self.withheld:
                out += await self._sentence(sentence)
        return out

    async def _sentence(self, text: str) -> str:
        verdict = await self._reviewer.review(text, self._around())
        self._before = (self._before + text)[-_CONTEXT:]
        self._note(verdict)
        if verdict.action == "withhold":
            self._gate.discard()
            return WITHHELD.format(reason=verdict.reason)
        return verdict.text

    async def _json(self, raw: str) -> str:
        verdict = look_at_json(raw, self._reviewer.look, self._around())
        if verdict.action != "withhold":
            verdict = await self._reviewer.opinion(verdict, self._around())
        self._note(verdict)
        return verdict.text

    async def _call(self, index: int, call: "_Call") -> dict[str, Any] | None:
        if call.name not in tool_names(self._body):
            self._note(Verdict("withhold", "", "a call of a tool that was not offered"))
            return None
        arguments = await self._json("".join(call.arguments))
        if self.withheld:
            return None
        function = {"name": call.name, "arguments": arguments}
        return {"index": index, "id": call.id or f"call_{index}", "type": "function", "function": function}

    def _around(self) -> Surroundings:
        return Surroundings(before=self._before, links_to=self._links)

    def _note(self, verdict: Verdict) -> None:
        if verdict.action == "release":
            return
        if self.verdict != "withhold":
            self.verdict = verdict.action
        if verdict.reason not in self.reasons:
            self.reasons.append(verdict.reason)


class _Call:
    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def add(self, part: Mapping[str, Any]) -> None:
        function = part.get("function") or {}
        self.id = part.get("id") or self.id
        self.name = function.get("name") or self.name
        if arguments := function.get("arguments"):
            self.arguments.append(arguments)


class _CallersLinks:
    """Which links an answer may hold: to the hosts that the caller's own messages name, and every URL that is in them.

    Results of the caller's tools may come from anywhere: a URL in them is justified, its host is not.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._hosts: set[str] | None = None
        self._urls: set[str] = set()

    def __call__(self, url: str) -> bool:
        if self._hosts is None:  # most answers hold no link
            self._hosts = set()
            for message in self._body["messages"]:
                urls = {each.rstrip(".,;:!?*_|") for each in _URL.findall(text_of(message))}
                self._urls |= urls
                if message.get("role") in _OWN:
                    self._hosts |= {_host(each) for each in urls}
        return url in self._urls or _host(url) in self._hosts - {""}


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def text_of(message: Any) -> str:
    """The text of a message in wire form; nothing for what is no message."""
    content = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(content, list):
        return " ".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


_NOTHING = Piece()
