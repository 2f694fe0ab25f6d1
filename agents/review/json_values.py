"""Arguments of tool calls and structured answers: looked at as a whole, masked only inside strings, JSON ever after."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from agents.review.invisible import visible
from agents.review.sentences import AT_ONCE, sentences_of
from agents.review.verdict import Surroundings, Verdict

Look = Callable[[str, Surroundings], Verdict]
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_FEWEST_DIGITS = 10
_PIECE = 600


class _Withheld(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Object(list[tuple[str, Any]]):
    """The members of an object as they were written: a name that is written twice must not hide a value."""


def look_at_json(raw: str, look: Look, around: Surroundings) -> Verdict:
    """The verdict on a JSON text: released as it is, masked inside its strings, or withheld.

    What is no JSON (cut off at a token limit) leaves only where nothing in it has to be masked.
    """
    try:
        value = json.loads(raw, object_pairs_hook=_Object, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return _as_text(raw, look, around)
    walk = _Walk(look, around)
    try:
        clean = walk.value(value, "")
    except _Withheld as found:
        return Verdict("withhold", "", found.reason)
    except RecursionError:
        return Verdict("withhold", "", "something that could not be checked")
    whole = _long("\n".join(walk.seen), look, around)  # what only the strings together say
    if whole.action == "withhold":
        return whole
    if not walk.reason:
        return Verdict("release", raw)
    return Verdict("mask", json.dumps(clean, ensure_ascii=False), walk.reason)


@dataclass
class _Walk:
    look: Look
    around: Surroundings
    reason: str = ""
    seen: list[str] = field(default_factory=list)

    def value(self, value: Any, name: str) -> Any:
        match value:
            case str():
                return self._string(value, name)
            case _Object():
                return self._object(value)
            case list():
                return [self.value(item, name) for item in value]
            case bool() | None:
                return value
            case _:
                self._number(value, name)
                return value

    def _object(self, members: _Object) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        for name, item in members:
            if _long(visible(name), self.look, self.around).action != "release":
                raise _Withheld("a name of a field that may not leave")
            if name in clean:
                self.reason = self.reason or "a field that is written twice"
            clean[name] = self.value(item, name)
        return clean

    def _string(self, text: str, name: str) -> str:
        plain = visible(text)
        # A field's name says what its value is: `{"password": …}` is as telling as "the password is …".
        before = f'"{name}": ' if name else self.around.before
        verdict = _long(plain, self.look, replace(self.around, before=before))
        if verdict.action == "withhold":
            raise _Withheld(verdict.reason)
        if verdict.text != text:
            self.reason = verdict.reason or "characters that nobody sees"
        self.seen.append(verdict.text)
        return verdict.text

    def _number(self, number: float, name: str) -> None:
        digits = str(number)
        if len(digits) < _FEWEST_DIGITS:
            return
        verdict = _long(digits, self.look, replace(self.around, before=f'"{name}": '))
        if verdict.action != "release":
            raise _Withheld(verdict.reason)


def _long(text: str, look: Look, around: Surroundings) -> Verdict:
    """The verdict on a text of any length: piece by piece where it is long."""
    if len(text) <= AT_ONCE:
        return look(text, around)
    out: list[str] = []
    reason, before = "", around.before
    for piece in sentences_of(text, _PIECE):
        verdict = look(piece, replace(around, before=before))
        if verdict.action == "withhold":
            return verdict
        reason = reason or verdict.reason
        out.append(verdict.text)
        before = (before + piece)[-_PIECE:]
    clean = "".join(out)
    return Verdict("release", text) if clean == text else Verdict("mask", clean, reason)


def _as_text(raw: str, look: Look, around: Surroundings) -> Verdict:
    spelled = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), raw)
    for text in (raw, spelled):
        verdict = _long(visible(text), look, around)
        if verdict.action != "release":
            return Verdict("withhold", "", verdict.reason)
    return Verdict("release", raw)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
