"""Results on their way to a model: credentials replaced, then cut to size, with a note that says so.

Both halves of a result are treated alike: the text that the model reads, and the structured content that code reads.
What was cut off can be read on: see `toolbus.leftovers`.
"""

import json
from dataclasses import dataclass
from typing import Any

from policies.sensitive import may_hold_secrets, redact_secrets, redact_value
from toolbus.sources import SourceResult

_SCAN_FACTOR = 4  # text beyond this multiple of the limit is dropped unread: no call is worth reading more
_LONGEST_WORD = 8192
_MAX_CUTS = 8


@dataclass(frozen=True)
class Cut:
    """What did not fit: the rest of one list or one text of the result."""

    name: str
    kept: int
    rest: list[Any] | str

    @property
    def note(self) -> str:
        """In words, for the model."""
        unit = "characters" if isinstance(self.rest, str) else "items"
        of = f" of {self.name!r}" if self.name else ""
        return f"Cut to size: the first {self.kept} of {self.kept + len(self.rest)} {unit}{of}."


@dataclass(frozen=True)
class CleanResult:
    """What a model and the layers above may see."""

    text: str
    structured: Any
    is_error: bool
    cut: Cut | None = None


def clean(result: SourceResult, *, max_bytes: int, max_rows: int) -> CleanResult:
    """Redact, then bound. The note about a cut is not in the text yet: the caller knows whether there is a cursor."""
    if result.structured is None:
        whole = redact_secrets(_window(result.text, max_bytes))
        kept = _head(whole, max_bytes)
        cut = Cut("", len(kept), whole[len(kept) :]) if len(kept) < len(whole) else None
        return CleanResult(kept, None, result.is_error, cut)
    text = json.dumps(result.structured, ensure_ascii=False)
    if _fits(text, max_bytes) and not _too_many(result.structured, max_rows):
        if not may_hold_secrets(text):
            return CleanResult(text, result.structured, result.is_error)
        structured = redact_value(result.structured)
        return CleanResult(json.dumps(structured, ensure_ascii=False), structured, result.is_error)
    return _cut_structured(result, max_bytes, max_rows)


def _cut_structured(result: SourceResult, max_bytes: int, max_rows: int) -> CleanResult:
    # Work on an object: a bare list or text becomes the field `result`, as the protocol's own SDKs have it.
    value = result.structured if isinstance(result.structured, dict) else {"result": result.structured}
    value = {key: _scannable(item, max_bytes) for key, item in value.items()}
    first: Cut | None = None
    for _ in range(_MAX_CUTS):
        name = _largest(value, max_bytes, max_rows)
        if name is None:
            value = redact_value({**value, "truncated": True})
            return CleanResult(json.dumps(value, ensure_ascii=False), value, result.is_error, first)
        others = _size({key: item for key, item in value.items() if key != name})
        room = max(0, max_bytes - others - len(name) - 32)
        value[name], cut = _cut_value(name, value[name], room, max_rows)
        if cut is None:
            break
        first = first or cut
    # Large in a way that cannot be cut in rows: the beginning of its text must do.
    whole = redact_secrets(_window(json.dumps(value, ensure_ascii=False), max_bytes))
    kept = _head(whole, max_bytes)
    return CleanResult(kept, None, result.is_error, Cut("", len(kept), whole[len(kept) :]))


def _scannable(item: Any, max_bytes: int) -> Any:
    # Texts are redacted before they are cut: half a credential is not recognised.
    return redact_secrets(_window(item, max_bytes)) if isinstance(item, str) else item


def _window(text: str, max_bytes: int) -> str:
    limit = max_bytes * _SCAN_FACTOR
    if len(text) <= limit:
        return text
    # End between words, so that no credential is cut in half before it is looked for.
    space = max(text.rfind(character, max(0, limit - _LONGEST_WORD), limit) for character in ' \n\t,;"')
    return text[: space if space > 0 else limit]


def _largest(value: dict[str, Any], max_bytes: int, max_rows: int) -> str | None:
    """The field to cut next; None when everything fits."""
    for key, item in value.items():
        if isinstance(item, list) and len(item) > max_rows:
            return key
    sizes = {key: _size(item) for key, item in value.items()}
    if sum(sizes.values()) + sum(len(key) + 6 for key in sizes) <= max_bytes:
        return None
    return max(sizes, key=lambda key: sizes[key])


def _cut_value(name: str, item: Any, room: int, max_rows: int) -> tuple[Any, Cut | None]:
    if isinstance(item, list):
        kept = _fitting(item, room, max_rows)
        return item[:kept], Cut(name, kept, item[kept:])
    if isinstance(item, str):
        head = _head(item, room * 3 // 4)  # signs that JSON must escape take more room
        return head, Cut(name, len(head), item[len(head) :])
    return item, None


def _fitting(items: list[Any], room: int, max_rows: int) -> int:
    used = 2
    for index, item in enumerate(items[:max_rows]):
        used += _size(item) + 2
        if used > room:
            return index
    return min(len(items), max_rows)


def _fits(text: str, max_bytes: int) -> bool:
    return len(text) * 4 <= max_bytes or len(text.encode("utf-8", "replace")) <= max_bytes


def _too_many(value: Any, max_rows: int) -> bool:
    lists = value.values() if isinstance(value, dict) else (value,)
    return any(isinstance(item, list) and len(item) > max_rows for item in lists)


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _head(text: str, max_bytes: int) -> str:
    if len(text) * 4 <= max_bytes:
        return text
    return text.encode("utf-8", "replace")[: max(0, max_bytes)].decode("utf-8", "ignore")
